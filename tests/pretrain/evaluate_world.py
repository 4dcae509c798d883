"""A checkpoint whose answers are known beforehand, benchmarks for it, and evaluation stages that are ready to run."""

import json
from itertools import pairwise
from pathlib import Path
from typing import Any

from thinking_models import byte_level, chain_model

from recipes.outside import identity, matching
from recipes.schema.evaluation import Evaluation
from recipes.stage import Input, Stage, read_stage, write_stage

CHAINS = ((" a", "7", "<|end|>"), (" b", "8", "\n\n", "<|end|>"), (" c", " so", " c"))
RUN = {"serving": {"batch_size": 4}, "cluster": {"threads_per_process": 1}}


def make_checkpoint(folder: Path) -> Path:
    """Answers 7 to a question that ends in ` a`, 8 to one in ` b`, and to ` c` it never ends."""
    tokenizer = byte_level(folder)
    follows: dict[int, list[int]] = {}
    for chain in CHAINS:
        ids = [tokenizer.encode(piece) for piece in chain]
        assert all(len(of_piece) == 1 for of_piece in ids), chain
        for (token,), after in pairwise(ids):
            follows[token] = after
    return chain_model(folder, tokenizer, follows)


def write_items(file: Path, *rows: dict[str, Any]) -> Path:
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return file


def make_stage(root: Path, name: str, checkpoint: Path, files: dict[str, Path], **keys: Any) -> Stage:
    """`keys`: of Evaluation; `benchmarks` without their paths, which are `files`."""
    benchmarks = {benchmark: {"path": "x", **spec} for benchmark, spec in keys.pop("benchmarks").items()}
    asked = Evaluation.model_validate({"benchmarks": benchmarks, **keys})
    named = {"checkpoint": checkpoint, **{f"benchmark/{benchmark}": file for benchmark, file in files.items()}}
    inputs = {role: Input(str(file), identity(matching(str(file)))) for role, file in named.items()}
    params = {"seed": 1, "engine": {"kind": "transformers", "dtype": "float32"}, **asked.params()}
    stage = Stage("prove/tiny", name, "pretrain", "evaluate", 1, params, inputs, RUN, "0" * 12, root / name)
    write_stage(stage)
    return read_stage(stage.folder)
