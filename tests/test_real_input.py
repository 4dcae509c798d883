"""Real pages, real benchmarks, the real Llama-3 tokenizer and real Llama weights through the whole road."""

import gzip
import json
import os
import subprocess
import sys
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest

from recipes.manifest import read_manifest
from tests.stories import to_hugging_face


def midtrain(*arguments: str, benchmarks: Path) -> str:
    answer = subprocess.run(
        [sys.executable, "-m", "slurm.cli", *arguments],
        capture_output=True,
        text=True,
        env={**os.environ, "MIDTRAIN_BENCHMARKS": str(benchmarks)},
    )
    assert answer.returncode == 0, answer.stdout + answer.stderr
    return answer.stdout


def labelled_examples(shared_data: Path, out: Path) -> None:
    """Good: textbook mathematics. Bad: C4, instructions and code. None of it is in the crawl."""

    def texts(file: str, key: str, limit: int) -> list[str]:
        with gzip.open(shared_data / file, "rt") as lines:
            return [str(json.loads(line)[key])[:4000] for _, line in zip(range(limit), lines, strict=False)]

    good = texts("cot/math_train.jsonl.gz", "problem", 600) + texts("benchmarks/college_math_part.jsonl.gz", "question", 200)
    good += texts("text/hott_book_tex.jsonl.gz", "text", 18) + texts("text/openstax_prealgebra_cnxml.jsonl.gz", "text", 60)
    bad = texts("text/c4_demo.jsonl.gz", "text", 300) + texts("cot/instr_alpaca_en_demo.jsonl.gz", "output", 600)
    rows = [{"text": text, "label": label} for label, group in ((1, good), (0, bad)) for text in group]
    out.write_text("".join(json.dumps(row) + "\n" for row in rows))


@pytest.fixture(scope="module")
def real(shared_data: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, list[str]]:
    """Results' root, and the overrides that name the files."""
    place = tmp_path_factory.mktemp("real")
    labelled_examples(shared_data, place / "examples.jsonl")
    files = [
        f"sources.crawl.path={shared_data}/web/sample-00000.warc.gz",
        f"sources.pages.path={shared_data}/web/web_open.jsonl.gz",
        f"stages.classifier.examples={place}/examples.jsonl",
    ]
    return place / "runs", files


def manifest(root: Path, stage: str, page: str = "curate/web_files") -> dict[str, Any]:
    [file] = (root / page).glob(f"{stage}-{'[0-9a-f]' * 12}/manifest.json")
    return read_manifest(file.parent)


def test_real_pages_walk_the_curation_road(real: tuple[Path, list[str]], shared_data: Path) -> None:
    root, files = real
    tokenizer = f"tokenizer={shared_data}/tokenizer/llama3_tokenizer.model"
    midtrain("run", "curate/web_files", *files, tokenizer, f"root={root}", benchmarks=shared_data / "benchmarks")
    extract, tokens = manifest(root, "extract")["counts"], manifest(root, "tokenize")["counts"]
    assert extract["documents_in"] == 600 + 1822
    assert extract["documents_out"] > 2200
    stages = ("extract", "tidy", "clean", "math", "dedup", "decontaminate")
    funnel = [manifest(root, name)["counts"] for name in stages]
    for above, below in pairwise(funnel):
        assert below["documents_in"] == above["documents_out"]
        dropped = sum(group["documents"] for group in below.get("dropped", {}).values())
        assert below["documents_in"] == below["documents_out"] + dropped
    assert funnel[-1]["documents_out"] > 500
    assert manifest(root, "dedup")["counts"]["dropped"]["exact_duplicate"]["documents"] > 100  # the crawl repeats pages
    assert tokens["tokens"]["train"] > 500_000


def test_real_weights_train_a_few_steps_on_them(real: tuple[Path, list[str]], shared_data: Path, tmp_path: Path) -> None:
    root, files = real
    to_hugging_face(shared_data / "weights/stories260K.bin", shared_data / "tokenizer/tok512.bin", tmp_path / "stories")
    page = [f"web_files:{override}" for override in (*files, f"tokenizer={tmp_path}/stories")]
    settings = [
        "model=stories260k",
        f"base={tmp_path}/stories",
        f"tokenizer={tmp_path}/stories",
        "stages.stable={init: base, steps: 8, lr: {schedule: constant, peak: 1e-3}, blend: {web_files: 1.0}}",
        "~stages.decay",
        "branches={}",
        "validation={web: web_files}",
        "validation_sequences=8",
        f"root={root}",
    ]
    midtrain("run", "train/demo", *settings, *page, benchmarks=shared_data / "benchmarks")
    stable = manifest(root, "stable", "train/demo")
    assert stable["details"]["loss"]["last"] < stable["details"]["loss"]["first"]
    assert stable["details"]["parameters"] == 260_032
    parity = manifest(root, "export_stable", "train/demo")["details"]["parity"]
    assert parity["max_difference"] < 1e-3
    assert (root / "train/demo/export/stable/model.safetensors").is_file()
