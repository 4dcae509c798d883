"""A finished training stage as a Hugging Face folder, checked before anyone can use it: `python -m pretrain.export FOLDER`.

The parity gate loads the written folder with transformers and compares its logits with the Megatron model's, both in float32,
at short and long positions. Above `max_logit_difference` nothing is kept and the exit status is 1. Always runs on the CPU, where
both models compute alike to the last bit; needs about ten bytes a parameter of memory.
"""

import argparse
import json
import logging
import os
import shutil
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pretrain import convert, cost
from pretrain.ending import DONE, FAILED, MISTAKE
from pretrain.logs import begin_logging
from pretrain.tokens import special_token_id
from recipes.manifest import publish, read_manifest
from recipes.schema import ExportParams, Model, Parallelism
from recipes.stage import Stage, read_stage

if TYPE_CHECKING:
    from megatron.core.models.gpt.gpt_model import GPTModel

HF = "hf"
BYTES_PER_FILE = 5 * 10**9  # as transformers shards
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


class NotTheSame(Exception):
    """The exported model is not the trained one."""


def run(folder: Path) -> int:
    started = time.time()
    stage = read_stage(folder)
    if stage.is_finished:
        log.info("%s is finished already", stage.folder)
        return DONE
    params = ExportParams.model_validate(stage.params)
    checkpoint = _checkpoint(stage, params)
    convert.check_config(Path(stage.input("config")), params.model)

    making = stage.folder / f".{HF}.tmp"
    for rest in (making, stage.folder / HF):
        shutil.rmtree(rest, ignore_errors=True)
    making.mkdir(parents=True)
    gpt = _load(checkpoint, params, int(stage.run["cluster"]["threads_per_process"]))
    num_tensors = write_weights(gpt, params, making)
    write_config(Path(stage.input("config")), Path(stage.input("tokenizer")), params.dtype, making)

    from pretrain.parity import compare

    report = compare(gpt, making, Path(stage.input("tokenizer")), params)
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
    return DONE


def _checkpoint(stage: Stage, params: ExportParams) -> Path:
    trained = Path(stage.input("checkpoint"))
    manifest = read_manifest(trained)
    if Model.model_validate(manifest["params"]["model"]) != params.model:
        raise ValueError(f"{trained} trained another model than this export's `model`: {manifest['params']['model']}")
    return trained / str(manifest["details"]["checkpoint"])


def _load(checkpoint_folder: Path, params: ExportParams, threads: int) -> "GPTModel":
    from pretrain import parallel

    parallel.join("cpu", rank=0, world_size=1, threads=threads)
    import torch
    from megatron.core import parallel_state, tensor_parallel

    parallel_state.initialize_model_parallel()
    tensor_parallel.model_parallel_cuda_manual_seed(parallel.SEED_OF_NEW_WEIGHTS)
    from pretrain import checkpoint, model

    gpt = model.build(params.model, params.model.max_position_embeddings, "fp32", "cpu", Parallelism())
    checkpoint.load(checkpoint_folder, gpt, None)
    if params.dtype == "bfloat16":  # compare with what is exported: the same rounded weights
        with torch.no_grad():
            for parameter in gpt.parameters():
                parameter.copy_(parameter.bfloat16())
    return gpt.eval()


# ---------------------------------------------------------------------------------------------------- files


def write_weights(gpt: "GPTModel", params: ExportParams, folder: Path) -> int:
    """model.safetensors, or several with an index; returns the number of tensors."""
    import torch
    from safetensors.torch import save_file

    dtype = getattr(torch, params.dtype)
    sizes = {name: tensor.numel() * dtype.itemsize for name, tensor in convert.hugging_face_tensors(gpt, params.model)}
    files: list[list[str]] = [[]]
    filled = 0
    for name, size in sizes.items():
        if files[-1] and filled + size > BYTES_PER_FILE:
            files.append([])
            filled = 0
        files[-1].append(name)
        filled += size

    tensors = convert.hugging_face_tensors(gpt, params.model)
    weight_map = {}
    for number, names in enumerate(files, start=1):
        file = "model.safetensors" if len(files) == 1 else f"model-{number:05d}-of-{len(files):05d}.safetensors"
        content = {}
        for name in names:
            found, tensor = next(tensors)
            assert found == name
            content[name] = tensor.to(dtype, copy=True)  # a copy: some are views of one Megatron tensor
            weight_map[name] = file
        save_file(content, folder / file, metadata={"format": "pt"})
    if len(files) > 1:
        index = {"metadata": {"total_size": sum(sizes.values())}, "weight_map": dict(sorted(weight_map.items()))}
        _write_json(folder / "model.safetensors.index.json", index)
    return len(sizes)


def write_config(base: Path, tokenizer: Path, dtype: str, folder: Path) -> None:
    """config.json as the base model has it, but for the dtype; the tokenizer's files; generation ends at the tokenizer's eos."""
    config = json.loads((base / "config.json").read_text())
    config["torch_dtype" if "torch_dtype" in config else "dtype"] = dtype
    _write_json(folder / "config.json", config)
    for name in TOKENIZER_FILES:
        if (tokenizer / name).is_file():
            shutil.copyfile(tokenizer / name, folder / name)
    generation: dict[str, Any] = {}
    if (base / "generation_config.json").is_file():
        generation = json.loads((base / "generation_config.json").read_text())
    for role in ("bos_token", "eos_token"):
        number = special_token_id(tokenizer, role)
        if number is not None:
            generation[f"{role}_id"] = number
    _write_json(folder / "generation_config.json", generation)


def _write_json(file: Path, content: dict[str, Any]) -> None:
    file.write_text(json.dumps(content, indent=2, ensure_ascii=False) + "\n")


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m pretrain.export", description="Exports a finished training stage.")
    parser.add_argument("folder", type=Path)
    folder = parser.parse_args(arguments).folder
    begin_logging(is_first=True)
    try:
        return run(folder)
    except NotTheSame as error:
        log.error("%s", error)
        return FAILED
    except ValueError as error:
        log.error("%s", error)
        return MISTAKE


if __name__ == "__main__":
    sys.exit(main())
