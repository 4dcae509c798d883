"""Checkpoints whose every answer can be counted by hand, and stages that ask them."""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import orjson
from thinking_models import byte_level, chain_model

from pretrain.__main__ import main
from recipes.outside import identity, matching
from recipes.schema import Engine, Readiness, Serving
from recipes.stage import Input, Stage, write_stage

HEAD = "lm_head.weight"
SMALL: dict[str, Any] = {"samples": 6, "max_tokens": 12, "forced": None, "loads": []}


def tokenizer(folder: Path) -> Any:
    return byte_level(folder)


def even_model(folder: Path, tokens: Any, follows: Mapping[str, Sequence[str]]) -> Path:
    """Behind each piece these come, all equally often; `<|end|>` ends a text."""
    from safetensors.torch import load_file, save_file

    ids = {_id(tokens, piece): [_id(tokens, after) for after in nexts] for piece, nexts in follows.items()}
    chain_model(folder, tokens, ids)
    weights = load_file(folder / "model.safetensors")
    for piece, nexts in ids.items():
        weights[HEAD][nexts, piece] = 1.0
    save_file(weights, folder / "model.safetensors", metadata={"format": "pt"})
    return folder


def _id(tokens: Any, piece: str) -> int:
    ids = tokens.encode(piece, add_special_tokens=False)
    assert len(ids) == 1, (piece, ids)
    return int(ids[0])


def problems(file: Path, *rows: tuple[str, str]) -> Path:
    file.write_bytes(b"".join(orjson.dumps({"question": question, "answer": answer}) + b"\n" for question, answer in rows))
    return file


def answers_stage(folder: Path, checkpoint: Path, files: Mapping[str, Path], **asked: Any) -> Stage:
    """Ready to run, and nothing that costs seconds unless it is asked for."""
    given = Readiness.model_validate({"problems": "problems", **SMALL, **asked})
    params = {"seed": 5, "engine": Engine(dtype="float32").model_dump(mode="json"), **given.of_answers()}
    inputs = {role: Input(str(path), identity(matching(str(path)))) for role, path in {"checkpoint": checkpoint, **files}.items()}
    run = {"cluster": {"threads_per_process": 1}, "serving": Serving().model_dump(mode="json")}
    stage = Stage("prove/mine", "answers_it", "pretrain", "answers", 1, params, inputs, run, "0" * 12, folder / "answers_it-0")
    write_stage(stage)
    return stage


def card_stage(answers: Stage, **limits: Any) -> Stage:
    given = Readiness.model_validate({"problems": "problems", "limits": limits})
    inputs = {"checkpoint": answers.inputs["checkpoint"], "answers": Input(str(answers.folder), "0" * 12, str(answers.folder))}
    params = {"limits": given.limits.model_dump(mode="json")}
    folder = answers.folder.with_name("readiness_it-0")
    stage = Stage("prove/mine", "readiness_it", "pretrain", "readiness", 1, params, inputs, answers.run, "0" * 12, folder)
    write_stage(stage)
    return stage


def asked(stage: Stage) -> dict[str, Any]:
    """What a stage of answers finds."""
    assert main([str(stage.folder)]) == 0
    found: dict[str, Any] = json.loads((stage.folder / "figures.json").read_bytes())
    return found


def judged(stage: Stage) -> dict[str, Any]:
    assert main([str(stage.folder)]) == 0
    found: dict[str, Any] = json.loads((stage.folder / "card.json").read_bytes())
    return found
