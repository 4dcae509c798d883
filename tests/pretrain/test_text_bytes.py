"""Bits per byte need the bytes of the text that tokens stand for."""

from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers
from world import PARAMS, SEQUENCE, World

from pretrain.tokens import num_text_bytes
from recipes.schema import TrainParams
from recipes.stage import read_stage

TEXTS = ["The sum ∑ of α² is ≤ 3.", "naïve 数学 proofs\n\n\tq.e.d.", "x" * 40, "🧮 counts"]


@pytest.fixture(scope="module")
def byte_level(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Few merges: characters of several bytes are several tokens."""
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    alphabet = pre_tokenizers.ByteLevel.alphabet()
    tokenizer.train_from_iterator(
        TEXTS, trainers.BpeTrainer(vocab_size=290, special_tokens=["<|end|>"], initial_alphabet=alphabet)
    )
    tokenizer.add_tokens(["<think>"])
    folder = tmp_path_factory.mktemp("byte_level")
    tokenizer.save(str(folder / "tokenizer.json"))
    return folder


def test_bytes_of_a_byte_level_vocabulary_are_exact_wherever_the_tokens_are_cut(byte_level: Path) -> None:
    tokenizer = Tokenizer.from_file(str(byte_level / "tokenizer.json"))
    end = tokenizer.token_to_id("<|end|>")
    tokens = np.array([token for text in TEXTS for token in [*tokenizer.encode(text).ids, end]], dtype=np.uint16)
    total = sum(len(text.encode()) for text in TEXTS)
    assert num_text_bytes(byte_level, tokens) == total
    for place in range(0, len(tokens), 5):
        assert num_text_bytes(byte_level, tokens[:place]) + num_text_bytes(byte_level, tokens[place:]) == total


def test_added_tokens_that_are_text_count_and_special_ones_do_not(byte_level: Path) -> None:
    tokenizer = Tokenizer.from_file(str(byte_level / "tokenizer.json"))
    ids = [tokenizer.token_to_id(token) for token in ("<think>", "<|end|>", "<think>")]
    assert num_text_bytes(byte_level, np.array(ids)) == 2 * len("<think>")


def test_of_other_vocabularies_the_decoded_text_is_counted(world: World) -> None:
    assert num_text_bytes(world.tokenizer, np.array([1, 7, 45, 1])) == len("w7 w45")


def test_a_real_tokenizer_counts_the_bytes_of_real_text(shared_data: Path, tmp_path: Path) -> None:
    (tmp_path / "tokenizer.json").write_bytes((shared_data / "tokenizer" / "gpt2_tokenizer.json").read_bytes())
    tokenizer = Tokenizer.from_file(str(tmp_path / "tokenizer.json"))
    text = "\n".join(TEXTS) + Path(__file__).read_text()
    assert num_text_bytes(tmp_path, np.array(tokenizer.encode(text).ids)) == len(text.encode())


@pytest.mark.usefixtures("megatron")
def test_what_is_not_in_the_loss_has_no_bytes(world: World) -> None:
    """With eod_mask_loss the first token of a document, predicted from the end of the one before it, does not count."""
    from pretrain.data import HeldOut
    from pretrain.validate import held_out_bytes

    stage = read_stage(world.stage("held_out_bytes"))
    for is_masked in (False, True):
        held_out = HeldOut(stage, "web", TrainParams.model_validate({**PARAMS, "eod_mask_loss": is_masked}))
        tokens = np.fromfile(world.datasets["web"] / "validation.bin", dtype=np.uint16)[: held_out.num_sequences * SEQUENCE + 1]
        words = [f"w{label}" for before, label in pairwise(tokens) if label != 1 and not (is_masked and before == 1)]
        assert len(words) > SEQUENCE
        assert held_out_bytes(held_out, world.tokenizer) == len(" ".join(words))
