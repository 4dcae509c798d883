"""The files of a checkpoint, each read once, where it is first asked for. What is damaged is told by name. No torch but in
`broken_numbers`."""

import json
from collections.abc import Callable
from functools import cached_property
from pathlib import Path
from typing import Any

from safetensors import SafetensorError, safe_open
from tokenizers import Tokenizer

EMBEDDING = "model.embed_tokens.weight"


class Unreadable(Exception):
    """A file that is not there, or is damaged."""


class Files:
    def __init__(self, folder: Path):
        self.folder = folder

    @cached_property
    def config(self) -> dict[str, Any]:
        return self._json("config.json")

    @cached_property
    def generation(self) -> dict[str, Any]:
        """{} without one."""
        name = "generation_config.json"
        return self._json(name) if (self.folder / name).is_file() else {}

    @cached_property
    def tokenizer(self) -> Tokenizer:
        file = self._file("tokenizer.json")
        try:
            return Tokenizer.from_file(str(file))
        except Exception as error:  # tokenizers raises no other class
            raise Unreadable(f"tokenizer.json is damaged ({error})") from None

    @cached_property
    def tokenizer_config(self) -> dict[str, Any]:
        return self._json("tokenizer_config.json")

    @cached_property
    def tensors(self) -> dict[str, Path]:
        """The file of each, by the headers of the weights; {} where there are no safetensors."""
        found: dict[str, Path] = {}
        for file in sorted(self.folder.glob("*.safetensors")):
            try:
                with safe_open(file, framework="numpy") as weights:
                    found |= dict.fromkeys(weights.keys(), file)
            except (SafetensorError, OSError) as error:
                raise Unreadable(f"{file.name} is damaged ({error})") from None
        return found

    @property
    def rows(self) -> int | None:
        """Of the embedding."""
        if EMBEDDING not in self.tensors:
            return None
        with safe_open(self.tensors[EMBEDDING], framework="numpy") as weights:
            return int(weights.get_slice(EMBEDDING).get_shape()[0])

    def has(self, tensor: str) -> bool | None:
        """None where there are no safetensors."""
        return tensor in self.tensors if self.tensors else None

    def special_token(self, role: str) -> tuple[str | None, int | None]:
        """(the `eos_token` or `bos_token` that is named, its id): None where there is none."""
        token = self.tokenizer_config.get(role)
        token = token["content"] if isinstance(token, dict) else token
        return token, None if token is None else self.tokenizer.token_to_id(token)

    def unreadable(self) -> list[str]:
        reads: list[Callable[[], Any]] = [
            lambda: self.config,
            lambda: self.generation,
            lambda: self.tokenizer,
            lambda: self.tokenizer_config,
            lambda: self.tensors,
        ]
        found = []
        for read in reads:
            try:
                read()
            except Unreadable as error:
                found.append(str(error))
        return found

    def broken_numbers(self) -> list[str]:
        """The tensors that hold an infinity, or what is no number."""
        found = []
        for name, file in self.tensors.items():
            with safe_open(file, framework="pt") as weights:
                tensor = weights.get_tensor(name)
                if tensor.element_size() == 1:
                    tensor = tensor.float()  # torch tells nothing of numbers of eight bits
                if not tensor.isfinite().all():
                    found.append(name)
        return found

    def _file(self, name: str) -> Path:
        if not (self.folder / name).is_file():
            raise Unreadable(f"there is no {name}")
        return self.folder / name

    def _json(self, name: str) -> dict[str, Any]:
        try:
            found = json.loads(self._file(name).read_text())
        except ValueError as error:  # half a character too
            raise Unreadable(f"{name} is no JSON ({error})") from None
        if not isinstance(found, dict):
            raise Unreadable(f"{name} holds no object")
        return found
