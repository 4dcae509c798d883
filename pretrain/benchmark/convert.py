"""python -m pretrain.benchmark.convert [--model NAME] [--layers N] [--positions N] [--json]: peak memory of conversion, measured.

Against what cannot be less: the model on one rank and its largest tensor. The limit is 1.3 times that. Each part runs in a
process of its own; counted is what it allocates beyond the imports, looked at every 2 ms. `resident` counts mapped files too,
whose pages the system takes back when it needs them.
"""

import argparse
import json
import shutil
import sys
import tempfile
import time
import warnings
from collections.abc import Callable, Iterator
from concurrent.futures import ProcessPoolExecutor
from dataclasses import astuple, dataclass
from math import prod
from multiprocessing import get_context
from pathlib import Path
from threading import Event, Thread
from typing import TYPE_CHECKING, Any

import yaml
from rich.console import Console

from pretrain import convert, cost, weights
from recipes.load import RECIPES
from recipes.schema import ExportParams, Model, Parallelism

if TYPE_CHECKING:
    from megatron.core.models.gpt.gpt_model import GPTModel

LIMIT = 1.3
SEED = 0
SECONDS_BETWEEN_LOOKS = 0.002
SHARD = 10**9  # bytes of a safetensors file


@dataclass(frozen=True)
class Folders:
    base: Path
    checkpoint: Path
    exported: Path


def comparisons(model: Model, scratch: Path) -> Iterator[dict[str, Any]]:
    """Memory of each part of the way there and back. The base is made of random weights in bfloat16."""
    folders = Folders(*(scratch / name for name in ("base", "checkpoint", "hf")))
    for folder in astuple(folders):
        folder.mkdir(parents=True)
    alone(make_base, model, folders.base)
    for name, part, item_bytes in (
        ("Hugging Face -> Megatron, bf16 on one rank", _load, 2),
        ("checkpoint -> safetensors, bf16", _write, 2),
        ("the parity gate, float32", _gate, 4),
    ):
        measured = alone(part, model, folders)
        least = item_bytes * (cost.num_parameters(model) + max(prod(s) for s in convert.hugging_face_shapes(model).values()))
        peak = measured.pop("peak")
        yield {"what": name, "ours": peak, "reference": least, "ratio": round(peak / least, 3), "limit": LIMIT, **measured}


def alone(part: Callable[..., Any], *arguments: Any) -> Any:
    """In a new process, so that nothing but this part is measured."""
    with ProcessPoolExecutor(max_workers=1, mp_context=get_context("spawn"), initializer=_be_quiet) as process:
        return process.submit(part, *arguments).result()


def _be_quiet() -> None:
    warnings.simplefilter("ignore")  # megatron-core tells of the optional packages that it does not find


# ---------------------------------------------------------------------------------------------------- the parts


def make_base(model: Model, base: Path) -> None:
    """Random matrices, and norms of ones."""
    import torch
    from transformers import LlamaConfig

    shapes = convert.hugging_face_shapes(model)
    generator = torch.Generator().manual_seed(SEED)
    tensors = (
        (name, torch.ones(shape) if len(shape) == 1 else torch.randn(shape, generator=generator) * model.init_std)
        for name, shape in shapes.items()
    )
    weights.write(base, tensors, shapes, "bfloat16", SHARD)
    rope: dict[str, Any] = {"rope_type": "default", "rope_theta": model.rope_theta}
    if model.rope_scaling_factor:
        rope |= {"rope_type": "llama3", "factor": model.rope_scaling_factor, **convert.LLAMA3_ROPE}
    LlamaConfig(
        num_hidden_layers=model.num_layers,
        hidden_size=model.hidden_size,
        intermediate_size=model.ffn_hidden_size,
        num_attention_heads=model.num_attention_heads,
        num_key_value_heads=model.num_query_groups,
        head_dim=model.head_dim,
        vocab_size=model.vocab_size,
        max_position_embeddings=model.max_position_embeddings,
        rms_norm_eps=model.norm_eps,
        tie_word_embeddings=model.tie_embeddings,
        rope_parameters=rope,
        architectures=["LlamaForCausalLM"],
    ).save_pretrained(base)
    convert.check_config(base, model)


def _load(model: Model, folders: Folders) -> dict[str, float]:
    """And saves what was loaded, unmeasured, as the next part's checkpoint."""
    build = _builder(model, "bf16")
    loaded: list[GPTModel] = []

    def work() -> None:
        loaded.append(build())
        convert.load_hugging_face(loaded[0], folders.base, model, 0, 1)

    measured = _measure(work)
    from megatron.core import dist_checkpointing

    from pretrain.checkpoint.state import metadata, sharded_state

    state = {**sharded_state(loaded, None, metadata(), is_loading=False), "step": 0}
    dist_checkpointing.save(state, str(folders.checkpoint))
    return measured


def _write(model: Model, folders: Folders) -> dict[str, float]:
    from pretrain.export import write_weights
    from pretrain.saved_model import SavedModel

    SavedModel(folders.checkpoint)  # imports are no part of what is measured
    params = ExportParams(model=model, dtype="bfloat16", max_logit_difference=1.0, max_shard_gigabytes=SHARD / 10**9)
    return _measure(lambda: write_weights(folders.checkpoint, params, folders.exported))


def _gate(model: Model, folders: Folders) -> dict[str, float]:
    """Ours loads and answers, then transformers' does, as the gate lets them."""
    build = _builder(model, "fp32")
    import torch
    from transformers import AutoModelForCausalLM

    from pretrain import parity
    from pretrain.checkpoint.state import load

    parity.quieten()
    shutil.copyfile(folders.base / "config.json", folders.exported / "config.json")
    tokens = torch.randint(model.vocab_size, (1, model.max_position_embeddings), generator=torch.Generator().manual_seed(SEED))
    file = folders.exported.parent / "logits"
    differences: list[float] = []

    def trained() -> "GPTModel":
        gpt = build()
        load(folders.checkpoint, [gpt], None)
        return gpt.eval()

    def work() -> None:
        parity.compute_logits(trained, {"random": tokens}, {"random": file})
        theirs = AutoModelForCausalLM.from_pretrained(folders.exported, dtype=torch.float32, attn_implementation="sdpa").eval()
        differences.append(parity.difference(file, theirs, tokens))

    return {**_measure(work), "max_logit_difference": differences[0]}


def _builder(model: Model, precision: str) -> "Callable[[], GPTModel]":
    """Makes an empty model in this process, whose imports are done."""
    from pretrain import parallel

    backend = parallel.join("cpu", rank=0, world_size=1, threads=1)
    from megatron.core import parallel_state

    parallel_state.initialize_model_parallel()
    parallel.seed(SEED, 0)
    from pretrain.model import build

    return lambda: build(model, model.max_position_embeddings, precision, backend, Parallelism())[0]


# ---------------------------------------------------------------------------------------------------- measuring


def _measure(work: Callable[[], Any]) -> dict[str, float]:
    """Bytes by which allocated and resident memory grew at their peaks, and seconds. Linux alone: VmHWM is set back by writing 5
    to clear_refs; for allocated memory there is no such mark, so a thread looks."""
    Path("/proc/self/clear_refs").write_text("5")
    allocated, resident, started = _status("RssAnon"), _status("VmRSS"), time.perf_counter()
    seen, is_done = [allocated], Event()

    def look() -> None:
        while not is_done.wait(SECONDS_BETWEEN_LOOKS):
            seen.append(max(seen.pop(), _status("RssAnon")))

    watch = Thread(target=look, daemon=True)
    watch.start()
    work()
    is_done.set()
    watch.join()
    seconds = round(time.perf_counter() - started, 2)
    return {"peak": seen[0] - allocated, "resident": _status("VmHWM") - resident, "seconds": seconds}


def _status(field: str) -> int:
    line = next(line for line in Path("/proc/self/status").read_text().splitlines() if line.startswith(field))
    return int(line.split()[1]) * 1024


# ---------------------------------------------------------------------------------------------------- command


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m pretrain.benchmark.convert", description=__doc__)
    parser.add_argument("--model", default="llama3_2_1b", help="a page of recipes/model")
    parser.add_argument("--layers", type=int, default=2, help="of that model: its matrices are what matters")
    parser.add_argument("--positions", type=int, default=512, help="that the gate looks at; an export looks at 4,096")
    parser.add_argument("--scratch", type=Path, help="a folder with room for three copies of the model")
    parser.add_argument("--json", action="store_true", help="one JSON object a line")
    given = parser.parse_args()
    page = RECIPES / "model" / f"{given.model}.yaml"
    if not page.is_file():
        print(f"error: --model {given.model}: there is no such page in recipes/model", file=sys.stderr)
        return 2
    cut = {"num_layers": given.layers, "max_position_embeddings": given.positions}
    model = Model.model_validate({**yaml.safe_load(page.read_text()), **cut})
    with tempfile.TemporaryDirectory(dir=given.scratch) as scratch:
        rows = []
        for row in comparisons(model, Path(scratch)):
            rows.append(row)
            if given.json:
                print(json.dumps(row), flush=True)
            else:
                Console(highlight=False).print(
                    f"{row['what']:45} {row['ours'] / 2**20:9,.0f} MiB of {row['reference'] / 2**20:9,.0f}: "
                    f"ratio {row['ratio']:.2f} (limit {row['limit']}) in {row['seconds']:.1f} s",
                    soft_wrap=True,
                )
    return 0 if all(row["ratio"] <= row["limit"] for row in rows) else 1


if __name__ == "__main__":
    sys.exit(main())
