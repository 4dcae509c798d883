"""Special tokens all the way: written into paths by a curate page, tokenized, trained on, exported, and read by transformers."""

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import load_file
from world import CLUSTER, MODEL, World, make_base

from recipes.manifest import read_manifest
from recipes.schema import Model
from tests.curation.small_page import record_stages, run
from tests.slurm.dataset import write_tokenizer

MARKS = {"reasoning_start": "<|go|>", "reasoning_end": "<|stop|>", "step_start": "<|step|>", "step_end": "<|/step|>"}
TOKENS = [*MARKS.values(), "<|never used|>"]
BYTES = 257  # a token for each byte, and the end of a document
BASE = Model.model_validate({**MODEL, "vocab_size": BYTES})
GROWN = Model.model_validate({**MODEL, "vocab_size": 264, "added_rows": 7})
COLUMNS = {"id": "id", "question": "q", "answer": "a", "expected_answer": "a", "samples": "samples"}
EMBEDDING = "model.embed_tokens.weight"


@pytest.fixture(scope="module")
def made(world: World, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """The folders of tokenizer, base, paths, tokens, training and export."""
    folder = tmp_path_factory.mktemp("marked")
    write_tokenizer(folder / "tokenizer")
    traces = ["Let n be it.\n2 + 3 = 5.\nSo it is \\boxed{5}.", "I add.\n2 + 3 = 5.\nThat makes \\boxed{5}."]
    rows = [{"q": f"Sum number {n}?", "a": "5", "samples": [{"text": text} for text in traces]} for n in range(20)]
    rows.append({"q": "What is <|go|>?", "a": "5", "samples": [{"text": traces[0]}]})
    spec = {
        "format": {"do": "format", "template": "question_answer", "keep": ["question", "samples"]},
        "graphs": {"do": "build_graphs"},
        "paths": {"do": "sample_paths", "special_tokens": MARKS},
        "tokenize": {"do": "tokenize", "validation_share": 0.3},
    }
    planned = record_stages(folder, rows, COLUMNS, spec, tokenizer=str(folder / "tokenizer"))
    run(planned)
    base = make_base(folder / "base", BASE)
    tokens = planned["tokenize"].folder
    own = {"init": base, "tokenizer": folder / "tokenizer", "dataset/web": tokens, "dataset/cot": tokens}
    steps = {"steps": 2, "lr": {"schedule": "constant", "peak": 1e-2}, "optimizer": {"weight_decay": 0.0}}
    trained = world.stage("on_paths", inputs=own, model=GROWN.model_dump(), **steps)
    done = world.train(trained)
    assert done.status == 0, done.stderr
    params = {"model": GROWN.model_dump(), "dtype": "float32", "max_logit_difference": 1e-5, "special_tokens": TOKENS}
    locations = {"checkpoint": trained, "config": base, "tokenizer": folder / "tokenizer"}
    exported = world.write("export_on_paths", "export", params, locations, {"cluster": CLUSTER})
    done = world.export(exported)
    assert done.status == 0, done.stderr
    return {"base": base, "paths": planned["paths"].folder, "tokens": tokens, "trained": trained, "exported": exported} | own


def test_the_exported_tokenizer_reads_paths_as_they_were_trained_on(made: dict[str, Path]) -> None:
    from transformers import AutoTokenizer

    tokenizer = AutoTokenizer.from_pretrained(made["exported"] / "hf")
    assert [tokenizer.encode(token, add_special_tokens=False) for token in TOKENS] == [[BYTES + n] for n in range(5)]
    trained = np.concatenate([np.fromfile(made["tokens"] / f"{split}.bin", np.uint16) for split in ("train", "validation")])
    ends = np.flatnonzero(trained == BYTES - 1)
    written = sorted(tuple(ids[:-1]) for ids in np.split(trained, ends + 1)[:-1])
    shards = sorted((made["paths"] / "documents").glob("*.parquet"))
    assert shards
    import pyarrow.parquet as parquet

    texts = [text for shard in shards for text in parquet.read_table(shard)["text"].to_pylist()]
    assert len(texts) == 20 * 4
    assert sorted(tuple(tokenizer.encode(text, add_special_tokens=False)) for text in texts) == written
    assert read_manifest(made["tokens"])["details"]["special_tokens"] == {
        mark: BYTES + n for n, mark in enumerate(MARKS.values())
    }


def test_their_rows_begin_as_the_mean_and_those_that_occur_are_trained(made: dict[str, Path]) -> None:
    before, after = (load_file(folder / "model.safetensors")[EMBEDDING] for folder in (made["base"], made["exported"] / "hf"))
    assert (len(before), len(after)) == (BYTES, 264)
    mean = before.double().mean(dim=0).float()
    moved = (after[BYTES:] - mean).abs().max(dim=1).values
    assert bool((moved > 0).all())  # tied embeddings: the loss moves the rows of tokens that never occur too
    used, unused = after[BYTES : BYTES + 4], after[BYTES + 4 :]
    assert all(torch.equal(row, unused[0]) for row in unused)  # and all of them alike
    assert len({tuple(row.tolist()) for row in used}) == 4


def test_texts_have_no_bytes_for_special_tokens(made: dict[str, Path]) -> None:
    from pretrain.tokens import num_text_bytes

    ids = np.array([BYTES, 0, 1, BYTES + 3, BYTES - 1])
    assert num_text_bytes(made["tokenizer"], ids) == 2
    line = json.loads((made["trained"] / "metrics.jsonl").read_text().splitlines()[-1])
    assert line["step"] == 2


def test_a_model_without_the_rows_is_refused(world: World, made: dict[str, Path]) -> None:
    own = {"init": made["base"], "tokenizer": made["tokenizer"], "dataset/web": made["tokens"], "dataset/cot": made["tokens"]}
    refused = world.train(world.stage("without_rows", inputs=own, model=BASE.model_dump(), steps=2))
    assert refused.status == 2
    assert "has special tokens with ids up to 260, but the model has 257 rows; name them on the train page" in refused.stderr
