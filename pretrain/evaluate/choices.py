"""The answers that an item lets one choose among, however its file writes them, and which of them is right."""

import re
from typing import Any

from pretrain.generation.prompts import LETTERS

MARK = re.compile(r"(?:^|(?<=[\s,;'\"\[]))\(?([A-Ja-j])\s?[).:]\s+")
AROUND = " ,;'\"[]"  # MathQA: `a ) 12 , b ) 16`, `['a ) 12', 'b ) 16']`, and `a ) a ) 12`


def read_choices(value: Any) -> tuple[list[str], list[str]]:
    """(labels, choices) of a list, of a mapping by letter, of {text, label} lists, or of a text like `A) 3 B) 4`. Empty lists
    where there are none."""
    if isinstance(value, dict) and isinstance(value.get("text"), list):
        texts = value["text"]
        labels = value.get("label") or list(LETTERS[: len(texts)])
    elif isinstance(value, dict):
        labels, texts = list(value), list(value.values())
    elif isinstance(value, list):
        labels, texts = list(LETTERS[: len(value)]), value
    elif isinstance(value, str):
        labels, texts = _in_text(value)
    else:
        labels, texts = [], []
    return [str(label).strip().upper() for label in labels], [str(text).strip() for text in texts]


def _in_text(text: str) -> tuple[list[str], list[str]]:
    """Parted where the next letter is named: `a ) 12 , b ) 16`. What stands between two marks is a choice."""
    found: list[re.Match[str]] = []
    for mark in MARK.finditer(text):
        if mark[1].upper() == LETTERS[len(found)]:
            found.append(mark)
        if len(found) == len(LETTERS):
            break
    ends = [mark.start() for mark in found[1:]] + [len(text)]
    choices = [MARK.sub("", text[mark.end() : end].strip(AROUND)) for mark, end in zip(found, ends)]
    return [mark[1].upper() for mark in found], choices


def right_letter(answer: Any, labels: list[str]) -> str:
    """The letter, as the prompt names choices, of the right one: its label, or its number from 0. "" where it is none of them."""
    named = str(answer).strip().strip("()").rstrip(".)").upper()
    if named in labels:
        return LETTERS[labels.index(named)]
    return LETTERS[int(named)] if named.isdecimal() and int(named) < len(labels) else ""
