"""A finished training stage as a Hugging Face folder, checked before anyone can use it.

Weights go from the checkpoint to safetensors tensor by tensor, whatever layout trained them. Then the parity gate loads the
written folder with transformers and compares its logits with the Megatron model's, both in float32, at short and long positions.
Above `max_logit_difference` nothing is kept and the exit status is 1. Always runs on the CPU, where both models compute alike to
the last bit; needs the memory of one float32 model and its logits (measure it with: python -m pretrain.benchmark.convert).
"""

import json
import logging
import os
import shutil
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pretrain import convert, cost, special_tokens, weights
from pretrain.checkpoint import find
from pretrain.ending import Failed
from pretrain.tokens import special_token_id
from recipes import exits
from recipes.manifest import publish, read_manifest
from recipes.schema import ExportParams, Model, Parallelism
from recipes.stage import Stage, read_stage

if TYPE_CHECKING:
    from megatron.core.models.gpt.gpt_model import GPTModel

HF = "hf"
TOKENIZER_FILES = (
    "tokenizer.json",
    "tokenizer_config.json",
    "special_tokens_map.json",
    "added_tokens.json",
    "tokenizer.model",
    "vocab.json",
    "merges.txt",
    "chat_template.jinja",
)
log = logging.getLogger(__name__)


class NotTheSame(Failed):
    """The exported model is not the trained one."""


def run(folder: Path) -> int:
    started = time.time()
    stage = read_stage(folder)
    params = ExportParams.model_validate(stage.params)
    checkpoint, kind = _checkpoint(stage, params)
    convert.check_config(Path(stage.input("config")), params.model)
    if problems := find.damage_found_alone(checkpoint):  # parity would not see it: both models would come from these files
        raise ValueError(f"the checkpoint {checkpoint} is damaged: {'; '.join(problems)}; make its stage again")

    making = stage.folder / f".{HF}.tmp"
    for rest in (making, stage.folder / HF):
        shutil.rmtree(rest, ignore_errors=True)
    making.mkdir(parents=True)
    num_tensors = write_weights(checkpoint, params, making, kind)
    base, tokenizer = Path(stage.input("config")), Path(stage.input("tokenizer"))
    write_config(base, tokenizer, params, making)
    write_tokenizer(tokenizer, params, making)

    from pretrain.parity import compare

    threads = int(stage.run["cluster"]["threads_per_process"])
    report = compare(lambda: load(checkpoint, params, threads, kind), making, tokenizer, params)
    log.info(
        "largest logit difference %.3g (allowed %.3g) | %s",
        report["max_difference"],
        params.max_logit_difference,
        report["cases"],
    )
    if not (report["max_difference"] <= params.max_logit_difference and report["tokenizer_agrees"]):
        shutil.rmtree(making)
        raise NotTheSame(
            f"the exported model is not the trained one: {json.dumps(report)}; allowed logit difference "
            f"{params.max_logit_difference:g}. Nothing was kept"
        )
    os.replace(making, stage.folder / HF)
    publish(
        stage,
        counts={"parameters": cost.num_parameters(params.model), "tensors": num_tensors},
        started=started,
        details={"parity": report},
    )
    return exits.DONE


def _checkpoint(stage: Stage, params: ExportParams) -> tuple[Path, str]:
    """Where it is, and what the names of the exported weights begin with: nothing, or `ema.`"""
    trained = Path(stage.input("checkpoint"))
    manifest = read_manifest(trained)
    if Model.model_validate(manifest["params"]["model"]) != params.model:
        raise ValueError(f"{trained} trained another model than this export's `model`: {manifest['params']['model']}")
    checkpoint = trained / str(manifest["details"]["checkpoint"])
    if params.weights == "trained" or manifest["do"] == "average":
        return checkpoint, ""
    if manifest["params"].get("ema_decay") is None:
        raise ValueError(f"export.weights=ema, but {trained} kept no average of its weights; export its trained ones")
    from pretrain.saved_model import EMA

    return checkpoint, EMA


def load(checkpoint: Path, params: ExportParams, threads: int, kind: str = "") -> "GPTModel":
    """The trained model in float32, by Megatron's own loader: another road than that of `write_weights`."""
    from pretrain import parallel

    backend = parallel.join("cpu", rank=0, world_size=1, threads=threads)
    import torch
    from megatron.core import parallel_state

    parallel_state.initialize_model_parallel()
    parallel.seed(parallel.SEED_OF_NEW_WEIGHTS, 0)
    from pretrain import model
    from pretrain.checkpoint import state

    (gpt,) = model.build(params.model, params.model.max_position_embeddings, "fp32", backend, Parallelism())
    state.load(checkpoint, [gpt], None, kind=kind)
    if params.dtype == "bfloat16":  # compare with what is exported: the same rounded weights
        with torch.no_grad():
            for parameter in gpt.parameters():
                parameter.copy_(parameter.bfloat16())
    return gpt.eval()


# ---------------------------------------------------------------------------------------------------- files


def write_weights(checkpoint: Path, params: ExportParams, folder: Path, kind: str = "") -> int:
    """The checkpoint's weights as safetensors; returns the number of tensors."""
    from pretrain.saved_model import SavedModel

    tensors = convert.hugging_face_tensors(SavedModel(checkpoint, kind).read, params.model)
    shapes = convert.hugging_face_shapes(params.model)
    return weights.write(folder, tensors, shapes, params.dtype, int(params.max_shard_gigabytes * 10**9))


def write_config(base: Path, tokenizer: Path, params: ExportParams, folder: Path) -> None:
    """config.json as the base model has it, but for the dtype and added rows; generation ends at the tokenizer's eos."""
    config = json.loads((base / "config.json").read_text())
    config["torch_dtype" if "torch_dtype" in config else "dtype"] = params.dtype
    config["vocab_size"] = params.model.vocab_size
    _write_json(folder / "config.json", config)
    generation: dict[str, Any] = {}
    if (base / "generation_config.json").is_file():
        generation = json.loads((base / "generation_config.json").read_text())
    for role in ("bos_token", "eos_token"):
        number = special_token_id(tokenizer, role)
        if number is not None:
            generation[f"{role}_id"] = number
    _write_json(folder / "generation_config.json", generation)


def write_tokenizer(tokenizer: Path, params: ExportParams, folder: Path) -> None:
    """The tokenizer's files as they are, but for special tokens that it lacks."""
    for name in TOKENIZER_FILES:
        if (tokenizer / name).is_file():
            shutil.copyfile(tokenizer / name, folder / name)
    first_id = params.model.vocab_size - params.model.added_rows
    for name, content in special_tokens.extended(tokenizer, params.special_tokens, first_id).items():
        _write_json(folder / name, content)


def _write_json(file: Path, content: dict[str, Any]) -> None:
    file.write_text(json.dumps(content, indent=2, ensure_ascii=False) + "\n")
