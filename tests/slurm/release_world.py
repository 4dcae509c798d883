"""A finished train page as its stages would leave it: small files, real fingerprints, records and certificates."""

import os
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import orjson
import pytest

from recipes.manifest import publish, read_manifest
from recipes.stage import MANIFEST, Stage, write_atomically, write_stage
from slurm.plan import Plan, plan
from slurm.release import sums
from slurm.release.make import release

PAGE, BRANCH = "train/demo", "short"
RECALL = {"planted": 200, "removed": 1.0, "reported": 1.0}
OVERRIDES = ("branch=demo_short", "export.max_shard_gigabytes=1.0")


@pytest.fixture(scope="session")
def finished_page(tmp_path_factory: pytest.TempPathFactory) -> Plan:
    found = planned(tmp_path_factory.mktemp("results") / "runs")
    finish(found)
    shutil.copytree(root_of(found), as_they_were(found), copy_function=os.link)
    return found


@pytest.fixture
def found(finished_page: Plan) -> Iterator[Plan]:
    """Results that a test may spoil, but not write into: their files are linked."""
    yield finished_page
    shutil.rmtree(root_of(finished_page))
    shutil.copytree(as_they_were(finished_page), root_of(finished_page), copy_function=os.link)


@pytest.fixture(scope="session")
def released(finished_page: Plan) -> Path:
    return release(finished_page, BRANCH, root_of(finished_page).with_name("bundle"))[0]


@pytest.fixture
def bundle(released: Path, tmp_path: Path) -> Path:
    """One that a test may spoil."""
    return Path(shutil.copytree(released, tmp_path / "copy"))


def root_of(found: Plan) -> Path:
    return found.stages[0].folder.parents[2]


def as_they_were(found: Plan) -> Path:
    return root_of(found).with_name("as they were")


def reseal(bundle: Path) -> None:
    """As somebody would who changes files and covers it up."""
    (bundle / sums.SUMS).write_bytes(sums.lines(sums.hashes(bundle)))
    (bundle / sums.SEAL).write_bytes(sums.seal(bundle))


def flip(content: bytes, place: int) -> bytes:
    return content[:place] + bytes([content[place] ^ 1]) + content[place + 1 :]


def names(bundle: Path) -> list[str]:
    return sorted(path.relative_to(bundle).as_posix() for path in bundle.rglob("*") if path.is_file())


def planned(root: Path, *more: str) -> Plan:
    return plan(PAGE, (*OVERRIDES, f"root={root}", *more))


def finish(found: Plan) -> None:
    """Every stage but the report, in the order of work."""
    for stage in found.stages:
        if stage.do == "report" or stage.is_finished:
            continue
        write_stage(stage)
        finisher = {"train": _train, "export": _export, "tokenize": _tokenize, "certificate": _certificate}.get(stage.do)
        counts, details = finisher(stage) if finisher else ({"documents_in": 9, "documents_out": 7}, {})
        publish(stage, counts=counts, details=details, started=0.0)


def stage_of(found: Plan, name: str, page: str = PAGE) -> Stage:
    return next(stage for stage in found.stages if (stage.page, stage.name) == (page, name))


def change(stage: Stage, **changes: Any) -> None:
    """Of a stage's record, by key; what is None is taken out of `details`."""
    manifest = read_manifest(stage.folder)
    for key, value in changes.items():
        place = manifest if key in manifest else manifest["details"]
        if value is None:
            del place[key]
        else:
            place[key] = value
    write_atomically(stage.folder / MANIFEST, orjson.dumps(manifest, option=orjson.OPT_INDENT_2))


def change_certificate(stage: Stage, **changes: Any) -> None:
    """As if its stage had written this."""
    file = stage.folder / "certificate.json"
    write_atomically(file, orjson.dumps(orjson.loads(file.read_bytes()) | changes))
    manifest = read_manifest(stage.folder)
    (stage.folder / MANIFEST).unlink()
    publish(stage, counts=manifest["counts"], details=manifest["details"], started=0.0)


def _train(stage: Stage) -> tuple[dict[str, Any], dict[str, Any]]:
    tokens, blend = stage.params["steps"] * 2048, stage.params["blend"]
    _write(stage, "checkpoints/step_00000004/__0_0.distcp", stage.fingerprint.encode())
    ledger = [
        {
            "dataset": dataset,
            "asked_share": share,
            "delivered_share": share,
            "delivered_tokens": round(share * tokens),
            "dataset_tokens": 1000,
            "epochs": share * tokens / 1000,
        }
        for dataset, share in blend.items()
    ]
    segments = [{"digest": "began anew", "from_step": 0, "to_step": stage.params["steps"], "ended": "done"}]
    resume = {"verdict": "same", "differences": [], "num_differences": 0, "redone_steps": 0, "restarts": 0, "segments": segments}
    losses = {"validation_before": {"web": 8.5}, "validation": {"web": 2.5}}
    details = {"ledger": ledger, "resume": resume, "checkpoint": "checkpoints/step_00000004", **losses}
    return {"steps": stage.params["steps"], "tokens": tokens}, details


def _export(stage: Stage) -> tuple[dict[str, Any], dict[str, Any]]:
    for name in ("config.json", "generation_config.json", "tokenizer.json", "tokenizer_config.json"):
        _write(stage, f"hf/{name}", orjson.dumps({"of": name}))
    _write(stage, "hf/model.safetensors", bytes(range(256)) * 16)
    parity = {"max_difference": 2.5e-6, "cases": {"text_64": 2.5e-6}, "tokenizer_agrees": True, "tokenizer_lossless": True}
    return {"parameters": 1_705_600, "tensors": 56}, {"parity": parity}


def _tokenize(stage: Stage) -> tuple[dict[str, Any], dict[str, Any]]:
    _write(stage, "train.bin", stage.fingerprint.encode() * 9)
    _write(stage, "train.idx", stage.fingerprint.encode())
    return {"documents": {"train": 6, "validation": 1}, "tokens": {"train": 1000, "validation": 50}}, {}


def _certificate(stage: Stage) -> tuple[dict[str, Any], dict[str, Any]]:
    tokens = read_manifest(Path(stage.input("tokens")))
    made_by = {key: tokens[key] for key in ("page", "stage", "fingerprint")}
    benchmarks = {"demo_problems": {"items": 200, "items_removed": 3, "items_masked": 0}}
    planted = {"canaries_questions": dict.fromkeys(("verbatim", "white_space", "latex"), RECALL)}
    content = {"benchmarks": benchmarks, **planted, "hits": [], "tokens": {**made_by, "files": tokens["outputs"]}}
    _write(stage, "certificate.json", orjson.dumps(content))
    return {"items_hit": 3}, {"benchmarks": benchmarks, **planted}


def _write(stage: Stage, name: str, content: bytes) -> None:
    write_atomically(stage.folder / name, content)
