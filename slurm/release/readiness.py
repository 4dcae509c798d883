"""The readiness certificate: the card of exactly this export, made by the settings of the page that `release.prove` names, on
which no check failed. Concerns are told in the model card, and refuse nothing.
"""

import hashlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import orjson

import pretrain
from recipes.load import load
from recipes.schema import ProveRecipe, Readiness
from recipes.stage import Stage, is_finished, read_stage
from slurm.release.bundle import Bundle, Flaw

CARD = "card.json"  # as its stage names it
FILE = "certificates/readiness.json"


class Found(NamedTuple):
    """The finished card of an export; None: `why` there is none that counts."""

    card: Stage | None
    why: str = ""


def find_card(export: Stage, prove: str) -> Found:
    """Among the results of a prove page, which are not planned anew: it may name ends that this page was not asked for."""
    page = load(prove)
    asked = page.readiness if isinstance(page, ProveRecipe) else None
    if asked is None:
        raise ValueError(f"release.prove={prove}: it makes no readiness card; name a page of recipes/prove that has `readiness:`")
    root = export.folder.parents[2]
    cards = [read_stage(file.parent) for file in sorted((root / prove).glob("readiness_*/manifest.json"))]
    ours = [card for card in cards if card.inputs["checkpoint"].stage == str(export.folder)]
    same = [card for card in ours if _is_as_asked(card, asked, page)]
    if same:
        return Found(max(same, key=lambda card: (card.folder / "manifest.json").stat().st_mtime))
    if ours:
        return Found(None, f"stale: {ours[-1].folder.name} is of other settings than {prove} has now")
    others = [card for card in cards if _end(card) == export.name]
    told = f"stale: {others[-1].folder.name} is of {Path(others[-1].inputs['checkpoint'].stage or '').name}" if others else ""
    return Found(None, told)


def _is_as_asked(card: Stage, asked: Readiness, page: Any) -> bool:
    folder = card.inputs["answers"].stage
    if folder is None or not is_finished(folder):
        return False
    answers = read_stage(folder)
    params = {"seed": page.seed, "engine": page.engine.model_dump(mode="json"), **asked.of_answers()}
    is_new = all(stage.version == pretrain.VERSIONS[stage.do] for stage in (card, answers))
    return is_new and answers.params == params and card.params == {"limits": asked.limits.model_dump(mode="json")}


def _end(card: Stage) -> str:
    """The name of the export that a card is of."""
    return Path(card.inputs["checkpoint"].stage or "").name.rpartition("-")[0]


def files(card: Stage | None) -> dict[str, Path]:
    return {FILE: card.folder / CARD} if card is not None and (card.folder / CARD).is_file() else {}


def flaws(bundle: Bundle) -> Iterator[Flaw]:
    stage = bundle.export["stage"]
    made = list(bundle.made("readiness").values())
    reason = _why_not(bundle, made[0]) if made else f"{bundle.asked.prove} has no finished readiness card of it"
    if reason:
        yield Flaw("readiness", stage, reason)


def _why_not(bundle: Bundle, manifest: dict[str, Any]) -> str | None:
    if not (bundle.folder / FILE).is_file():
        return "its readiness card is missing"
    content = (bundle.folder / FILE).read_bytes()
    if hashlib.sha256(content).hexdigest() not in {entry["sha256"] for entry in manifest["outputs"]}:
        return "its readiness card is not as it was made"
    card, made_by = orjson.loads(content), manifest["inputs"]["checkpoint"]["made_by"]
    if made_by != bundle.record["made_by"]:
        return f"its readiness card is of {made_by}"
    others = [name for name, digest in bundle.weights.items() if card["checkpoint"].get(name) != digest]
    if others:
        return f"its readiness card is of other files: {', '.join(others)}"
    failed = [_told(name, check) for name, check in card["checks"].items() if check["verdict"] == "fail"]
    return f"checks of its readiness card failed: {', '.join(failed)}" if failed else None


def concerns(bundle: Bundle) -> list[str]:
    """What the card does not call passed, for the model card."""
    if not (bundle.folder / FILE).is_file():
        return []
    checks = bundle.json(FILE)["checks"]
    return [f"{_told(name, check)}: {check['verdict']}" for name, check in checks.items() if check["verdict"] != "pass"]


def _told(name: str, check: dict[str, Any]) -> str:
    figure = f" ({check['figure']['mean']:.3g})" if "figure" in check else f" ({check['told']})" if check.get("told") else ""
    return f"{name.replace('_', ' ')}{figure}"
