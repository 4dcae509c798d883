"""Special tokens that a page adds: rows in the model, ids in the tokenizer, and the same for whoever loads the export."""

import json
import shutil
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file
from world import CLUSTER, MODEL, World

from pretrain.special_tokens import extended
from recipes.fingerprint import file_hash
from recipes.manifest import read_manifest
from recipes.schema import Model

TOKENS = ["<|think|>", "</think>"]
GROWN = Model.model_validate({**MODEL, "vocab_size": 264, "added_rows": 8})  # two tokens, filled up to a multiple of 8
STILL = {"steps": 1, "optimizer": {"weight_decay": 0.0}, "lr": {"schedule": "constant", "peak": 1e-30}}  # changes no weight


@pytest.fixture(scope="module")
def exported(world: World) -> Path:
    trained = world.stage("grown", model=GROWN.model_dump(), **STILL)
    run = world.train(trained)
    assert run.status == 0, run.stderr
    params = {"model": GROWN.model_dump(), "dtype": "float32", "max_logit_difference": 1e-5, "special_tokens": TOKENS}
    inputs = {"checkpoint": trained, "config": world.base, "tokenizer": world.tokenizer}
    folder = world.write("export_grown", "export", params, inputs, {"cluster": CLUSTER})
    run = world.export(folder)
    assert run.status == 0, run.stderr
    return folder


def test_transformers_encodes_each_new_token_as_one_id_and_the_rest_as_before(world: World, exported: Path) -> None:
    from transformers import AutoTokenizer

    before, after = (AutoTokenizer.from_pretrained(folder) for folder in (world.tokenizer, exported / "hf"))
    assert [after.encode(token, add_special_tokens=False) for token in TOKENS] == [[256], [257]]
    assert after.encode("w7 <|think|> w9 </think><|end|>", add_special_tokens=False) == [7, 256, 9, 257, 1]
    assert after.encode("w7 w9", add_special_tokens=False) == before.encode("w7 w9", add_special_tokens=False)
    assert after.decode([7, 256], skip_special_tokens=True).strip() == "w7"
    assert len(before) == 256
    assert len(after) == 258


def test_their_rows_are_the_mean_of_all_others_and_the_others_are_unchanged(world: World, exported: Path) -> None:
    name = "model.embed_tokens.weight"
    before, after = (load_file(folder / "model.safetensors")[name] for folder in (world.base, exported / "hf"))
    assert after.shape == (264, 32)
    assert torch.equal(after[:256], before)
    assert torch.equal(after[256:], before.double().mean(dim=0).float().expand(8, -1))


def test_a_new_token_is_no_likelier_than_the_average_one(exported: Path) -> None:
    from transformers import AutoModelForCausalLM
    from transformers.utils.logging import disable_progress_bar

    disable_progress_bar()
    model = AutoModelForCausalLM.from_pretrained(exported / "hf", dtype=torch.float32)
    assert model.config.vocab_size == 264
    with torch.no_grad():
        probabilities = model(torch.arange(64)[None]).logits.softmax(dim=-1)[0]
    assert float(probabilities[:, 256:].max()) <= 1 / 256
    assert read_manifest(exported)["details"]["parity"]["tokenizer_agrees"]


def test_a_tokenizer_that_has_them_already_stays_as_it_is(world: World, exported: Path, tmp_path: Path) -> None:
    assert extended(exported / "hf", TOKENS, 256) == {}
    assert extended(world.tokenizer, [], 256) == {}
    assert file_hash(exported / "hf" / "tokenizer_config.json") == file_hash(world.tokenizer / "tokenizer_config.json")


def test_the_older_list_of_added_tokens_is_kept_up(world: World, tmp_path: Path) -> None:
    shutil.copytree(world.tokenizer, tmp_path / "tokenizer")
    file = tmp_path / "tokenizer" / "tokenizer_config.json"
    config = json.loads(file.read_text()) | {"added_tokens_decoder": {"0": {"content": "<|begin|>", "special": True}}}
    file.write_text(json.dumps(config))
    changed = extended(tmp_path / "tokenizer", TOKENS, 256)["tokenizer_config.json"]["added_tokens_decoder"]
    assert list(changed) == ["0", "256", "257"]
    assert changed["257"] == {
        "content": "</think>", "single_word": False, "lstrip": False, "rstrip": False, "normalized": False, "special": True,
    }  # fmt: skip


def test_tokens_that_cannot_be_added_are_refused(world: World, exported: Path, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"special_tokens: .* has '<\|end\|>' already, as id 1; name only tokens that it lacks"):
        extended(world.tokenizer, ["<|new|>", "<|end|>"], 256)
    with pytest.raises(ValueError, match=r"has '<\|think\|>' already, as id 256; name only tokens that it lacks, or all tokens"):
        extended(exported / "hf", ["<|new|>", "<|think|>"], 256)
    with pytest.raises(ValueError, match=r"first new id would be 256 in .*, but the base model has 300 rows; .* keeps reserved"):
        extended(world.tokenizer, TOKENS, 300)
    with pytest.raises(ValueError, match=r"has no tokenizer.json to add them to"):
        extended(tmp_path, TOKENS, 256)


def test_a_page_counts_the_rows_and_its_two_keys_remake_what_they_decide() -> None:
    from slurm.plan import plan

    def made(*overrides: str) -> dict[str, tuple[str, dict[str, object]]]:
        return {
            stage.name: (stage.fingerprint, stage.params)
            for stage in plan("train/demo", overrides).stages
            if stage.page == "train/demo"
        }

    before, added = made(), made("special_tokens=['<|a|>','<|b|>']", "vocab_multiple=64")
    model = added["stable"][1]["model"]
    assert isinstance(model, dict)
    assert (model["vocab_size"], model["added_rows"]) == (4160, 64)
    assert added["export_long"][1]["special_tokens"] == ["<|a|>", "<|b|>"]
    assert all(before[name][0] != added[name][0] for name in before)
    renamed = made("special_tokens=['<|a|>','<|c|>']", "vocab_multiple=64")
    assert {name for name in added if added[name][0] != renamed[name][0]} == {
        "export_short",
        "export_long",
        "export_hybrid",
        "report",
    }
    resized = made("export.max_shard_gigabytes=1")
    assert {name for name in before if before[name][0] != resized[name][0]} == {
        "export_short",
        "export_long",
        "export_hybrid",
        "report",
    }


@pytest.mark.parametrize(
    ("override", "message"),
    [
        ("model.added_rows=3", r"model.added_rows=3 is counted from special_tokens and vocab_multiple; leave it out"),
        ("special_tokens=['<a>','<a>']", r"special_tokens names '<a>' twice"),
    ],
)
def test_pages_that_contradict_themselves_are_refused(override: str, message: str) -> None:
    from recipes.load import load

    with pytest.raises(ValueError, match=message):
        load("train/demo", [override])
