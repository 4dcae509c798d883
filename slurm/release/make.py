"""Makes a bundle: certificates and records first, so that a refusal costs nothing; then the model, hashed as it is copied.

It lies under a temporary name until it is whole. The same results give the same bytes: all times are those of the stages. What is
checked here is what `midtrain verify BUNDLE` checks again from the files alone; that the token files themselves are still those
that were certified is for `midtrain verify PAGE`, before.
"""

import hashlib
import os
import shutil
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import orjson

from recipes.manifest import read_manifest, read_summary
from recipes.schema import CurateRecipe, TrainRecipe, nearest
from recipes.stage import Stage, is_uri
from slurm.plan import Plan
from slurm.release import sbom, sums
from slurm.release.bundle import CARD, HF, MANIFESTS, RECORD, Bundle, Flaw, broken_links
from slurm.release.card import card
from slurm.release.certificates import KINDS, copied, find_flaws, written
from slurm.release.lineage import Lineage, lineage, name_of
from slurm.release.signature import sign

FORMAT = 1
LICENSES = ("LICENSE*", "NOTICE*", "USE_POLICY*")  # of the base model, which are handed on with it
# Of a record: not the machines, paths and commands of whoever made it, nor texts of documents.
PUBLIC = ("page", "stage", "room", "do", "version", "fingerprint", "params", "inputs", "counts", "details", "outputs", "software")
WITH_OUTPUTS = ("tokenize", "certificate")  # of curation: the certified files; the others' outputs are a hundred thousand shards
PIECE_BYTES = 2**22


class Refused(Exception):
    """Certificates that are missing, stale or failed, and that nobody allowed to be."""

    def __init__(self, end: str, flaws: list[Flaw]) -> None:
        super().__init__(f"{end} is not released: {'; '.join(f'{flaw.name}: {flaw.reason}' for flaw in flaws)}")
        self.end, self.flaws = end, flaws


def release(plan: Plan, end: str, to: Path, *, allow: Sequence[str] = (), key: str | None = None) -> tuple[Path, list[Flaw]]:
    """Writes the bundle of one end to `to`; returns it with what it was released without. Refused: names the reasons. `allow`:
    kinds of certificates, or one of them (`contamination/demo_web`)."""
    found = lineage(plan, end)
    making = to.with_name(f".{to.name}.tmp")
    shutil.rmtree(making, ignore_errors=True)
    try:
        without = _fill(plan, found, making, allow)
        if key is not None:
            sign(making, key)
        _write(making / sums.SEAL, sums.seal(making))
        _put_in_place(making, to)
    finally:
        shutil.rmtree(making, ignore_errors=True)
    return to, without


def _fill(plan: Plan, found: Lineage, making: Path, allow: Sequence[str]) -> list[Flaw]:
    """All that SHA256SUMS names, and SHA256SUMS."""
    for stage in found.stages:
        _write_json(making / MANIFESTS / f"{name_of(stage.folder)}.json", _public(stage))
    record = _record(plan, found)
    _write_json(making / RECORD, record)
    for file, source in copied(found).items():
        _copy(source, making / file)
    bundle = Bundle(making)
    for file, content in written(bundle).items():
        _write_json(making / file, content)
    broken = list(broken_links(bundle))
    if broken:
        raise ValueError(f"{found.end}: {'; '.join(broken)}; remove the stage's folder and run {plan.page} again")
    flaws = [_with_hint(flaw, found) for flaw in find_flaws(bundle)]
    refused = [flaw for flaw in flaws if not _is_allowed(flaw, allow)]
    if refused:
        raise Refused(found.end, refused)
    without = [{"certificate": flaw.certificate, "subject": flaw.subject, "reason": flaw.reason} for flaw in flaws]
    _write_json(making / RECORD, record | {"released_without": without})
    _copy_model(found, making, bundle.weights)
    _write(making / "sbom" / "recorded.cdx.json", sbom.recorded(bundle.manifests))
    _write(making / "sbom" / "released_with.cdx.json", sbom.installed())
    _write(making / CARD, card(Bundle(making)).encode())
    _write(making / sums.SUMS, sums.lines(sums.hashes(making)))
    return flaws


def check_allowed(allow: Iterable[str], datasets_and_stages: Iterable[str]) -> None:
    """ValueError at what `--allow` names and no certificate is called."""
    known = [*KINDS, *(f"{kind}/{subject}" for kind in KINDS for subject in datasets_and_stages)]
    for name in allow:
        if name not in known:
            raise ValueError(f"--allow {name}: there is no such certificate; {nearest(name, known)}")


def _is_allowed(flaw: Flaw, allow: Sequence[str]) -> bool:
    return flaw.certificate in allow or flaw.name in allow


def _with_hint(flaw: Flaw, found: Lineage) -> Flaw:
    """What is missing may be there of other tokens."""
    for stage in found.certificates if flaw.certificate == "contamination" else ():
        if stage.page == f"curate/{flaw.subject}" and not stage.is_finished:
            others = sorted(file.parent.name for file in stage.folder.parent.glob(f"{stage.name}-*/manifest.json"))
            told = f"; stale: {', '.join(others)} is of other tokens" if others else ""
            return Flaw(flaw.certificate, flaw.subject, f"{flaw.reason}{told}; make it with: midtrain run {stage.page}")
    if flaw.certificate == "readiness" and found.card is None:
        told = f"; {found.why_no_card}" if found.why_no_card else ""
        return Flaw(flaw.certificate, flaw.subject, f"{flaw.reason}{told}; make it with: midtrain readiness {found.prove}")
    return flaw


# ------------------------------------------------------------------------------------------------ what is told


def _public(stage: Stage) -> dict[str, Any]:
    has_outputs = stage.room == "pretrain" or stage.do in WITH_OUTPUTS
    manifest = read_manifest(stage.folder) if has_outputs else read_summary(stage.folder)
    return {key: manifest[key] for key in PUBLIC if key in manifest}


def _record(plan: Plan, found: Lineage) -> dict[str, Any]:
    recipe = plan.recipe
    assert isinstance(recipe, TrainRecipe)
    datasets = dict.fromkeys(dataset for stage in found.trained for dataset in stage.params.get("blend", ()))
    return {
        "format": FORMAT,
        "page": plan.page,
        "end": found.end,
        "made_by": name_of(found.export.folder),
        "base": _shown(recipe.base),
        "tokenizer": _shown(recipe.tokenizer),
        "asked": recipe.release.model_dump(mode="json"),
        "released_without": [],
        "ended": read_summary(found.export.folder)["ended"],
        "datasets": {dataset: _sources(plan, dataset) for dataset in datasets},
        "stages": [name_of(stage.folder) for stage in found.stages],
    }


def _sources(plan: Plan, dataset: str) -> dict[str, Any]:
    page = plan.recipes[f"curate/{dataset}"]
    assert isinstance(page, CurateRecipe)
    paths = {name: {"format": source.format, "path": _shown(source.path)} for name, source in page.sources.items()}
    return {"license": page.license, "sources": paths}


def _shown(path: str) -> str:
    """As the page has it, but nothing of where it lies on a machine."""
    return path if is_uri(path) or path.startswith("made:") else Path(path).name


# ------------------------------------------------------------------------------------------------ files


def _copy_model(found: Lineage, making: Path, weights: dict[str, str]) -> None:
    """ValueError if a file is not the one that was exported."""
    for name, recorded in weights.items():
        source = found.export.folder / HF / name
        if not source.is_file() or _copy(source, making / name) != recorded:
            raise ValueError(
                f"{name_of(found.export.folder)}: {HF}{name} is not as it was exported; remove that folder and run "
                f"{found.export.page} again"
            )
    base = Path(found.base.location)
    for source in sorted(file for pattern in LICENSES for file in base.glob(pattern) if file.is_file()):
        _copy(source, making / "base" / source.name)


def _copy(source: Path, target: Path) -> str:
    """Returns the sha256 of what was written."""
    target.parent.mkdir(parents=True, exist_ok=True)
    digest = hashlib.sha256()
    with open(source, "rb") as read, open(target, "wb") as file:
        while piece := read.read(PIECE_BYTES):
            digest.update(piece)
            file.write(piece)
    return digest.hexdigest()


def _write_json(file: Path, content: dict[str, Any]) -> None:
    _write(file, orjson.dumps(content, option=orjson.OPT_INDENT_2 | orjson.OPT_APPEND_NEWLINE))


def _write(file: Path, content: bytes) -> None:
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_bytes(content)


def _put_in_place(making: Path, to: Path) -> None:
    """A release that is there already stays, if it is the same; a new signature is added to it."""
    if not to.exists():
        os.replace(making, to)
        return
    if not (to / sums.SUMS).is_file() or (to / sums.SUMS).read_bytes() != (making / sums.SUMS).read_bytes():
        raise ValueError(f"{to} exists already and is another release; remove it, or name another folder with --to")
    for name in sums.SIGNATURES:
        if (making / name).is_file():
            os.replace(making / name, to / name)
    _write(to / sums.SEAL, sums.seal(to))
