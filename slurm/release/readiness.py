"""The readiness certificate: the card of exactly this export, as the page that `release.prove` names would make it now: by its
settings, of its problems; no check of it failed. Concerns are told in the model card, and refuse nothing.
"""

import hashlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import orjson

from recipes.load import load
from recipes.schema import ProveRecipe
from recipes.stage import Stage, is_finished, read_stage
from slurm.plan import Plan, plan
from slurm.release.bundle import Bundle, Flaw

CARD = "card.json"  # as its stage names it
FILE = "certificates/readiness.json"


class Found(NamedTuple):
    """The finished card of an export; None: `why` there is none that counts."""

    card: Stage | None
    why: str = ""


def find_card(released: Plan, export: Stage, prove: str) -> Found:
    """Among the results of a prove page. A card's fingerprint holds all that decides it: the checkpoint, the settings, the
    content of the problems' files."""
    page = load(prove)
    if not isinstance(page, ProveRecipe) or page.readiness is None:
        raise ValueError(f"release.prove={prove}: it makes no readiness card; name a page of recipes/prove that has `readiness:`")
    wanted = _card_now(released, export, page)
    cards = [read_stage(file.parent) for file in sorted(wanted.folder.parent.glob("readiness_*/manifest.json"))]
    cards = [card for card in cards if is_finished(card.input("answers"))]
    ours = [card for card in cards if card.inputs["checkpoint"].stage == str(export.folder)]
    for card in ours:
        if card.fingerprint == wanted.fingerprint:
            return Found(card)
    if ours:
        return Found(None, f"stale: {ours[-1].folder.name} is of other settings or other problems than {prove} has now")
    others = [card for card in cards if _end(card) == export.name]
    told = f"stale: {others[-1].folder.name} is of {Path(others[-1].inputs['checkpoint'].stage or '').name}" if others else ""
    return Found(None, told)


def _card_now(released: Plan, export: Stage, page: ProveRecipe) -> Stage:
    """Planned of this export alone, as the page may name ends that were not asked for; other pages as the release has them."""
    only = {"checkpoints": {"released": f"made:{export.page}/{export.name}/hf"}, "evaluation": None, "probe": None}
    asked = page.model_copy(update={**only, "root": released.recipe.root, "cluster": released.recipe.cluster})
    planned = plan(page.page, recipes={**released.recipes, page.page: asked})
    return next(stage for stage in planned.stages if stage.do == "readiness")


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
