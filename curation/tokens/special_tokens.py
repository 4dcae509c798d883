"""The tokens whose text in a document never becomes their id: those flagged `special` in tokenizer.json, and those with a role,
for some files leave the flag out even for the end of text.
"""

import json
from collections.abc import Collection, Mapping
from pathlib import Path

from tokenizers import AddedToken, Tokenizer

ROLES = ("bos_token", "eos_token", "pad_token", "unk_token")
MADE_BY_MODEL = "unk_token"  # of all that a vocabulary cannot spell


def roles_of(folder: Path) -> dict[str, str]:
    """The tokens that a folder's files name, by role."""
    found: dict[str, str] = {}
    for name in ("special_tokens_map.json", "tokenizer_config.json"):  # the latter decides
        file = folder / name
        named = json.loads(file.read_text(encoding="utf-8")) if file.is_file() else {}
        tokens = {role: named[role] for role in ROLES if named.get(role) is not None}
        found |= {role: token["content"] if isinstance(token, dict) else token for role, token in tokens.items()}
    return found


def keep_text(tokenizer: Tokenizer, tokens: Collection[str]) -> None:
    """The text of special tokens stays text, that of `tokens` too whatever their flags. Other added tokens (`<tool_call>`)
    become their ids where they are spelt out."""
    added = tokenizer.get_added_tokens_decoder().values()
    plain = [token.content for token in added if token.content in tokens and not token.special]
    tokenizer.add_special_tokens([AddedToken(token, special=True, normalized=False) for token in plain])
    tokenizer.encode_special_tokens = True


def refuse_spelt(tokenizer: Tokenizer, roles: Mapping[str, str]) -> None:
    """ValueError if the tokenizer's model itself, not its added tokens, makes the id of a role's token of its text."""
    for role, token in roles.items():
        spelt = [encoding.ids for encoding in tokenizer.encode_batch([token, f"a {token} b"], add_special_tokens=False)]
        if role != MADE_BY_MODEL and any(tokenizer.token_to_id(token) in ids for ids in spelt):
            raise ValueError(
                f"the tokenizer's model makes its {role} of the text {token!r}, so a document that spells it out would hold one; "
                f"name another {role} in tokenizer_config.json, which its model does not make of any text"
            )
