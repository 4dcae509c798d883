"""What training must know of a tokenizer: its end-of-document token and its size. No torch, no transformers (2 s to import)."""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from recipes.fingerprint import tokenizer_hash
from recipes.manifest import read_manifest
from recipes.schema import TrainParams
from recipes.stage import Stage


@dataclass(frozen=True)
class Vocabulary:
    """Stands where Megatron's datasets want a tokenizer. It has no `pad`: Megatron masks every token with that id out of the
    loss and rewrites it to 0, and documents here are never padded."""

    vocab_size: int
    eod: int

    @property
    def unique_identifiers(self) -> dict[str, int]:
        return {"vocab_size": self.vocab_size, "eod": self.eod}


def special_token_id(folder: Path, role: str) -> int | None:
    """The id of a tokenizer folder's `eos_token` or `bos_token`, None if it names none."""
    from tokenizers import Tokenizer

    config = json.loads(_file(folder, "tokenizer_config.json").read_text())
    token: Any = config.get(role)
    if isinstance(token, dict):
        token = token["content"]
    if token is None:
        return None
    number = Tokenizer.from_file(str(_file(folder, "tokenizer.json"))).token_to_id(token)
    if number is None:
        raise ValueError(f"{folder}: tokenizer_config.json names {role} {token!r}, but tokenizer.json does not have it")
    return int(number)


def num_text_bytes(folder: Path, tokens: np.ndarray) -> int:
    """UTF-8 bytes of the text that tokens stand for, to which special tokens add none. A piece of a byte-level vocabulary has a
    character for each byte, so the count is exact wherever the tokens were cut; otherwise the decoded text is counted."""
    from tokenizers import Tokenizer

    written = json.loads(_file(folder, "tokenizer.json").read_text())
    tokenizer = Tokenizer.from_file(str(_file(folder, "tokenizer.json")))
    decoder: dict[str, Any] = written.get("decoder") or {}
    if not any(part.get("type") == "ByteLevel" for part in [decoder, *decoder.get("decoders", [])]):
        return len(tokenizer.decode(tokens.tolist(), skip_special_tokens=True).encode())
    added = {token["id"]: 0 if token["special"] else len(token["content"].encode()) for token in written["added_tokens"]}
    numbers, times = np.unique(tokens, return_counts=True)
    sizes = [added[number] if number in added else len(tokenizer.id_to_token(number) or "") for number in numbers.tolist()]
    return int(np.dot(times, sizes))


def check_tokenizer(folder: Path, vocab_size: int) -> Vocabulary:
    from tokenizers import Tokenizer

    eos = special_token_id(folder, "eos_token")
    if eos is None:
        raise ValueError(f"{folder}: tokenizer_config.json has no eos_token; documents end with it, so training needs one")
    largest = max(Tokenizer.from_file(str(_file(folder, "tokenizer.json"))).get_vocab().values())
    if largest >= vocab_size:
        raise ValueError(
            f"{folder} has token ids up to {largest}, but model.vocab_size is {vocab_size}; use the base model's own tokenizer"
        )
    return Vocabulary(vocab_size=vocab_size, eod=eos)


def check_datasets(stage: Stage, params: TrainParams) -> None:
    """Every dataset of the blend and of validation is there, has what is read of it, and was tokenized with this stage's
    tokenizer."""
    tokenizer = Path(stage.input("tokenizer"))
    wanted = tokenizer_hash(tokenizer)
    for name in dict.fromkeys([*params.blend, *params.validation.values()]):
        role = f"dataset/{name}"
        if role not in stage.inputs:
            raise ValueError(
                f"the blend or validation names dataset {name!r}, but the stage has no such input; it has "
                f"{sorted(r.removeprefix('dataset/') for r in stage.inputs if r.startswith('dataset/'))}. Make it with: "
                f"midtrain run curate/{name}"
            )
        folder = Path(stage.input(role))
        details = read_manifest(folder)["details"]
        found = details.get("tokenizer_sha256")
        if found != wanted:
            raise ValueError(
                f"dataset {name!r} in {folder} was tokenized with another tokenizer (sha256 {found}) than this stage's "
                f"{tokenizer} (sha256 {wanted}); tokenize it again with this one"
            )
        if details.get("special_tokens") and details["vocab_size"] > params.model.vocab_size:
            raise ValueError(
                f"dataset {name!r} in {folder} has special tokens with ids up to {details['vocab_size'] - 1}, but the model has "
                f"{params.model.vocab_size} rows; name them on the train page, special_tokens: {list(details['special_tokens'])}"
            )
        missing = [file for file in ("train.bin", "train.idx") if not (folder / file).is_file()]
        if name in params.blend and missing:
            raise ValueError(
                f"dataset {name!r} in {folder} has no {' and no '.join(missing)}; its tokenize stage made no training documents"
            )
    check_held_out(stage, params)


def check_held_out(stage: Stage, params: TrainParams) -> None:
    """Every dataset of validation has documents that were held out."""
    for name in dict.fromkeys(params.validation.values()):
        for file in ("validation.bin", "validation.idx"):
            path = Path(stage.input(f"dataset/{name}")) / file
            if not path.is_file():
                raise ValueError(
                    f"validation names dataset {name!r}, but it has no held-out split ({path}); set validation_share on the "
                    f"tokenize stage of its page, or remove it from `validation`"
                )


def _file(folder: Path, name: str) -> Path:
    if not (folder / name).is_file():
        raise ValueError(f"{folder} is not a Hugging Face tokenizer folder: it has no {name}")
    return folder / name
