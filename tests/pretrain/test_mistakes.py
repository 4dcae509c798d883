"""What is wrong with a stage's inputs is said before torch is loaded, and the command exits with 2."""

import json
import shutil
from pathlib import Path

import pytest
from odd_process import optimizer_raises_a_value_error
from rank_process import run_together
from world import CLUSTER, PARAMS, World, make_dataset, make_tokenizer

from pretrain.tokens import check_datasets, check_tokenizer, special_token_id
from recipes.schema import TrainParams
from recipes.stage import read_stage


def check(folder: Path) -> None:
    stage = read_stage(folder)
    check_datasets(stage, TrainParams.model_validate(stage.params))


def test_good_inputs_pass(world: World) -> None:
    check(world.stage("good"))
    assert check_tokenizer(world.tokenizer, 256).eod == 1


def test_a_dataset_tokenized_with_another_tokenizer_is_refused(world: World, tmp_path: Path) -> None:
    other = make_tokenizer(tmp_path / "tokenizer")
    (other / "tokenizer.json").write_text((other / "tokenizer.json").read_text().replace("w255", "x255"))
    dataset = make_dataset(tmp_path / "web", other, num_documents=3, seed=1)
    with pytest.raises(ValueError, match=r"dataset 'web' in .* was tokenized with another tokenizer .* tokenize it again"):
        check(world.stage("other_tokenizer", inputs={"dataset/web": dataset}))


def test_an_unknown_dataset_is_named_with_those_there_are(world: World) -> None:
    with pytest.raises(ValueError, match=r"names dataset 'wab', but the stage has no such input; it has \['cot', 'web'\]"):
        check(world.stage("unknown_dataset", blend={"wab": 1.0}))


def test_a_vocabulary_smaller_than_the_tokenizer_is_refused(world: World) -> None:
    with pytest.raises(ValueError, match=r"has token ids up to 255, but model.vocab_size is 128"):
        check_tokenizer(world.tokenizer, 128)


def test_a_tokenizer_without_an_end_of_document_is_refused(tmp_path: Path) -> None:
    folder = make_tokenizer(tmp_path / "tokenizer")
    (folder / "tokenizer_config.json").write_text(json.dumps({"bos_token": "<|begin|>"}))
    with pytest.raises(ValueError, match="has no eos_token; documents end with it"):
        check_tokenizer(folder, 256)


def test_a_special_token_may_be_written_as_a_mapping(tmp_path: Path) -> None:
    folder = make_tokenizer(tmp_path / "tokenizer")
    (folder / "tokenizer_config.json").write_text(json.dumps({"eos_token": {"content": "<|end|>", "lstrip": False}}))
    assert special_token_id(folder, "eos_token") == 1
    assert special_token_id(folder, "bos_token") is None


def test_a_folder_that_is_no_tokenizer_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"is not a Hugging Face tokenizer folder: it has no tokenizer_config.json"):
        check_tokenizer(tmp_path, 256)


@pytest.mark.parametrize("file", ["validation.bin", "validation.idx"])
def test_a_held_out_split_must_be_there(world: World, tmp_path: Path, file: str) -> None:
    shutil.copytree(world.datasets["web"], tmp_path / "web")
    (tmp_path / "web" / file).unlink()
    with pytest.raises(
        ValueError, match=rf"names dataset 'web', but it has no held-out split \(.*{file}\); set validation_share"
    ):
        check(world.stage("no_held_out", inputs={"dataset/web": tmp_path / "web"}))


@pytest.mark.parametrize("file", ["train.bin", "train.idx"])
def test_training_documents_must_be_there(world: World, tmp_path: Path, file: str) -> None:
    shutil.copytree(world.datasets["cot"], tmp_path / "cot")
    (tmp_path / "cot" / file).unlink()
    with pytest.raises(ValueError, match=rf"has no {file}; its tokenize stage made no training documents"):
        check(world.stage("no_documents", inputs={"dataset/cot": tmp_path / "cot"}))


def test_a_held_out_split_must_be_long_enough(world: World, megatron: None) -> None:
    from pretrain.data import HeldOut

    params = TrainParams.model_validate(PARAMS)
    stage = read_stage(world.stage("held_out"))
    too_long = params.model_copy(update={"sequence_length": 100_000})
    with pytest.raises(ValueError, match=r"has [0-9]+ tokens, fewer than sequence_length . 1 = 100001; raise validation_share"):
        HeldOut(stage, "web", too_long)


def test_the_command_says_a_mistake_in_one_message_and_exits_with_2(world: World) -> None:
    process = world.command(world.stage("mistaken", model={**PARAMS["model"], "vocab_size": 512}))  # type: ignore[dict-item]
    _, stderr = process.communicate(timeout=60)
    assert process.returncode == 2
    assert "vocab_size is 256, the recipe's model says 512" in stderr
    assert "Traceback" not in stderr


def test_a_value_error_of_a_library_in_training_is_no_mistake_of_the_page(world: World) -> None:
    folder = world.stage("broken_library", steps=2, validation={})
    assert run_together(folder, 1, prepare=optimizer_raises_a_value_error) == [1]
    told = (folder / "logs" / "rank_0.txt").read_text()
    assert "training broke" in told
    assert "Traceback" in told
    assert "ValueError: optimizer got an empty parameter list" in told


def test_cuda_without_a_device_is_a_mistake(world: World) -> None:
    import torch

    if torch.cuda.is_available():
        pytest.skip("this machine has CUDA")
    run = world.train(world.stage("on_cuda", run={"cluster": {**CLUSTER, "device": "cuda"}}))
    assert run.status == 2
    assert "torch finds no CUDA device here" in run.stderr


def test_a_folder_that_is_no_stage_is_refused(world: World) -> None:
    run = world.train(world.root / "nothing")
    assert run.status == 2
    assert "is not a stage folder: it has no recipe.yaml" in run.stderr
