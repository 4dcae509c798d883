"""Meta's Llama 3 tokenizer file (tiktoken ranks) as a `tokenizers.Tokenizer`, equal to Hugging Face's tokenizer.json of it.

Tokens equal those of the tiktoken package (tests). Converting takes about 2 s; needed only where there is no tokenizer.json.
"""

import base64
import binascii
from pathlib import Path

from tokenizers import AddedToken, Regex, Tokenizer, decoders, models, pre_tokenizers

NUM_RANKS = 128_000
PATTERN = (  # of Meta's tokenizer.py
    r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*"
    r"|\s*[\r\n]+|\s+(?!\S)|\s+"
)
SPECIAL_TOKENS = (
    "begin_of_text",
    "end_of_text",
    "reserved_special_token_0",
    "reserved_special_token_1",
    "finetune_right_pad_id",
    "reserved_special_token_2",
    "start_header_id",
    "end_header_id",
    "eom_id",
    "eot_id",
    "python_tag",
    *(f"reserved_special_token_{number}" for number in range(3, 248)),
)  # of Llama 3.1 and 3.2, from id 128,000 on
BEGIN_OF_TEXT, END_OF_TEXT = "<|begin_of_text|>", "<|end_of_text|>"


def tokenizer_from_tiktoken(path: Path) -> Tokenizer:
    """From lines `base64 rank`. Refuses files of other models: the splitting pattern and special tokens are Llama 3's."""
    ranks = _read_ranks(path)
    letters = byte_letters()
    names = {token: "".join(letters[byte] for byte in token) for token in ranks}
    vocabulary = {names[token]: rank for token, rank in ranks.items()}
    tokenizer = Tokenizer(models.BPE(vocabulary, _merges(ranks, names), fuse_unk=False, ignore_merges=True))
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence(
        [
            pre_tokenizers.Split(Regex(PATTERN), behavior="isolated"),
            pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False),
        ]
    )
    tokenizer.decoder = decoders.ByteLevel()
    tokenizer.add_special_tokens([AddedToken(f"<|{name}|>", special=True, normalized=False) for name in SPECIAL_TOKENS])
    return tokenizer


def _read_ranks(path: Path) -> dict[bytes, int]:
    try:
        lines = path.read_bytes().split(b"\n")
        pairs = [line.split() for line in lines if line]
        ranks = {base64.b64decode(token, validate=True): int(rank) for token, rank in pairs}
    except (ValueError, binascii.Error) as error:
        raise ValueError(
            f"{path} is not a file of tiktoken ranks ({error}); SentencePiece models (Llama 2) and others need a tokenizer.json: "
            "save one with transformers' AutoTokenizer"
        ) from error
    if len(ranks) != NUM_RANKS:
        raise ValueError(
            f"{path} has {len(ranks)} ranks, Llama 3 has {NUM_RANKS}; for another model put its tokenizer.json into the folder"
        )
    return ranks


def _merges(ranks: dict[bytes, int], names: dict[bytes, str]) -> list[tuple[str, str]]:
    """All pairs of tokens that make a token, in the order of the made token's rank, then of the parts'."""
    merges = []
    for token in sorted(ranks, key=ranks.__getitem__):
        parts = [(token[:i], token[i:]) for i in range(1, len(token)) if token[:i] in ranks and token[i:] in ranks]
        merges += sorted(parts, key=lambda pair: (ranks[pair[0]], ranks[pair[1]]))
    return [(names[left], names[right]) for left, right in merges]


def byte_letters() -> list[str]:
    """GPT-2's printable letter of each byte."""
    printable = [*range(ord("!"), ord("~") + 1), *range(ord("¡"), ord("¬") + 1), *range(ord("®"), ord("ÿ") + 1)]
    others = iter(range(256, 512))
    return [chr(byte) if byte in printable else chr(next(others)) for byte in range(256)]
