"""python -m pretrain.benchmark [--cpu] [--device D] [--shape S ...] [--precision P ...] [--json]: our step against transformers'.

--cpu: a tiny Llama on one thread of the CPU. Without it one GPU, Llama-3.2 shapes at 8,192 tokens; needs no internet, and says
which path ran: Transformer Engine's layers, or without it Megatron's local ones. Conversion's memory has a command of its own:
python -m pretrain.benchmark.convert. Exit status: 0 if every target holds, 1 if not, 2 for a mistake.
"""

import argparse
import json
import sys
import tempfile
from importlib.util import find_spec
from pathlib import Path
from typing import Any, Literal

from rich.console import Console

from pretrain.benchmark.case import SHAPES, Case
from pretrain.benchmark.speed import comparisons


def main(arguments: list[str] | None = None) -> int:
    given = _parser().parse_args(arguments)
    if given.steps < 1 or given.warm_up < 0:
        return _mistake("--steps must be 1 or more, and --warm-up 0 or more")
    device: Literal["cpu", "cuda"] = "cpu" if given.cpu else given.device
    if device == "cuda" and not _has_gpu():
        return _mistake("no CUDA GPU is here; measure the CPU with --cpu, or the GPU's code on a CPU with --device cpu")
    shapes = given.shape or (["llama3_2_1b", "llama3_2_3b"] if device == "cuda" else ["tiny"])
    precisions = given.precision or (["bf16"] if device == "cuda" else ["fp32", "bf16"])
    if device == "cuda" and not given.precision and find_spec("transformer_engine"):
        precisions.append("fp8")
    rows = []
    try:
        for shape in shapes:
            with tempfile.TemporaryDirectory(dir=given.scratch) as scratch:
                for precision in precisions:
                    case = Case(device, shape, precision, given.steps, given.warm_up, given.gpu_memory)
                    for row in comparisons(case, Path(scratch)):
                        rows.append(row)
                        _show(row, given.json)
    except ValueError as error:
        return _mistake(str(error))
    return 0 if all(row["holds"] for row in rows) else 1


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m pretrain.benchmark", description=__doc__)
    parser.add_argument("--cpu", action="store_true", help="the same as --device cpu --shape tiny")
    parser.add_argument("--device", choices=["cpu", "cuda"], default="cuda")
    parser.add_argument("--shape", choices=SHAPES, action="append", help="may be given more than once")
    parser.add_argument("--precision", choices=["fp32", "bf16", "fp8"], action="append", help="may be given more than once")
    parser.add_argument("--steps", type=int, default=8, help="measured; the median counts")
    parser.add_argument("--warm-up", type=int, default=2, help="steps before them")
    parser.add_argument(
        "--gpu-memory", type=float, default=79.6, help="GiB (an H100's); layers are made again until it is enough"
    )
    parser.add_argument("--scratch", type=Path, help="a folder with room for the weights and two checkpoints")
    parser.add_argument("--json", action="store_true", help="one JSON object a line")
    return parser


def _has_gpu() -> bool:
    import torch

    return torch.cuda.is_available()


def _mistake(text: str) -> int:
    print(f"error: {text}", file=sys.stderr)
    return 2


def _show(row: dict[str, Any], as_json: bool) -> None:
    if as_json:
        print(json.dumps(row), flush=True)
        return
    console = Console(highlight=False, soft_wrap=True)
    ratio = "" if row["ratio"] is None else f"ratio {row['ratio']:.3f}"
    against = "" if row["reference"] is None else f"against {row['reference']:g}"
    verdict = "holds" if row["holds"] else "[bold]does not hold[/]"
    console.print(f"{row['what']:42} {row['ours']:g} {against} {row['unit']}   [bold]{ratio}[/]   {verdict}")
    more = {key: value for key, value in row.items() if key not in ("what", "ours", "reference", "ratio", "holds", "unit")}
    if more:
        console.print("    " + ", ".join(f"{key} {value}" for key, value in more.items()))


if __name__ == "__main__":
    sys.exit(main())
