"""A tokenizer folder with special tokens added at the end of its vocabulary, as changes to its own JSON files: all that is not
concerned stays as the base has it. No torch, no transformers: plans check with this what exports do.
"""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

TOKENIZER, CONFIG = "tokenizer.json", "tokenizer_config.json"


def extended(folder: Path, tokens: Sequence[str], first_id: int) -> dict[str, dict[str, Any]]:
    """The files that change, by name, so that `tokens` have the ids from `first_id` on. None where the tokenizer has them so
    already (data that use them were tokenized with it)."""
    if not tokens:
        return {}
    if not (folder / TOKENIZER).is_file():
        raise ValueError(f"special_tokens: {folder} has no {TOKENIZER} to add them to")
    tokenizer = json.loads((folder / TOKENIZER).read_text())
    wanted = {token: number for number, token in enumerate(tokens, start=first_id)}
    known = ids_of(tokenizer)
    there = {token: known[token] for token in tokens if token in known}
    if there == wanted:
        return {}
    if there:
        token, number = next(iter(there.items()))
        raise ValueError(
            f"special_tokens: {folder} has {token!r} already, as id {number}; name only tokens that it lacks, or all tokens that "
            f"were added to the base's {first_id}, in the order of their ids"
        )
    if max(known.values()) + 1 != first_id:
        raise ValueError(
            f"special_tokens: the first new id would be {max(known.values()) + 1} in {folder}, but the base model has {first_id} "
            f"rows; tokens are added only where the tokenizer ends with the model's vocabulary. Use tokens that it keeps reserved"
        )
    entries = [_entry(token, number) for token, number in wanted.items()]
    changed = {TOKENIZER: {**tokenizer, "added_tokens": [*tokenizer.get("added_tokens", []), *entries]}}
    if (folder / CONFIG).is_file():
        config = json.loads((folder / CONFIG).read_text())
        if "added_tokens_decoder" in config:  # transformers 4 reads the tokens there
            news = {str(entry["id"]): {k: v for k, v in entry.items() if k != "id"} for entry in entries}
            changed[CONFIG] = {**config, "added_tokens_decoder": {**config["added_tokens_decoder"], **news}}
    return changed


def ids_of(tokenizer: dict[str, Any]) -> dict[str, int]:
    """The id of every token of a tokenizer.json, added ones too."""
    vocabulary = tokenizer["model"]["vocab"]
    if isinstance(vocabulary, list):  # Unigram: pairs of token and score
        vocabulary = {token: number for number, (token, _) in enumerate(vocabulary)}
    return {**vocabulary, **{entry["content"]: entry["id"] for entry in tokenizer.get("added_tokens", [])}}


def _entry(token: str, number: int) -> dict[str, Any]:
    plain = {"single_word": False, "lstrip": False, "rstrip": False, "normalized": False}
    return {"id": number, "content": token, **plain, "special": True}
