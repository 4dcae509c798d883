"""Near-duplicates of pages at a wanted similarity, measured exactly.

The measure is the Jaccard similarity of the sets of word 5-grams of two main texts; words are runs of letters, digits
and underscores in lower case (`words_of`).
"""

import random
import re
from collections.abc import Callable
from dataclasses import replace

from curation.sample.grammar import Grammar
from curation.sample.pages import Block, Page

TARGETS = (0.95, 0.85, 0.75, 0.6, 0.4)
TOLERANCE = 0.02
NGRAM = 5

_SENTENCE = re.compile(r"(?<=[.?!]) (?=[A-Z])")
_MATH = re.compile(r"(\$\$.+?\$\$|\$[^$]+\$)", re.DOTALL)


def words_of(text: str) -> list[str]:
    return re.findall(r"\w+", text.lower())


def ngrams(text: str, n: int = NGRAM) -> set[tuple[str, ...]]:
    words = words_of(text)
    return set(zip(*(words[i:] for i in range(n)), strict=False))


def jaccard(one: set[tuple[str, ...]], other: set[tuple[str, ...]]) -> float:
    return len(one & other) / len(one | other) if one or other else 1.0


def near_duplicate(
    parent: Page, target: float, fresh: Callable[[], Page], grammar: Grammar, rng: random.Random
) -> tuple[Page, float]:
    """The parent, edited until it is `target` similar to it: sentences of `fresh` pages first, then single words.

    ValueError when the page is too short to come within TOLERANCE.
    """
    original = ngrams(parent.text)
    blocks = list(parent.blocks)
    similarity = _replace_sentences(parent, blocks, target, fresh, rng)
    for _ in range(400):
        if similarity - target <= TOLERANCE / 2:
            break
        index = rng.randrange(len(blocks))
        before, blocks[index] = blocks[index], _insert_word(blocks[index], grammar.expand("adverb", rng), rng)
        after = jaccard(original, ngrams(replace(parent, blocks=tuple(blocks)).text))
        if after < target - TOLERANCE / 2:
            blocks[index] = before
        else:
            similarity = after
    if abs(similarity - target) > TOLERANCE:
        raise ValueError(
            f"a page of {len(words_of(parent.text))} words cannot be edited to similarity {target}: "
            f"{similarity:.3f} was reached; take a longer page"
        )
    return replace(parent, blocks=tuple(blocks)), similarity


def _replace_sentences(parent: Page, blocks: list[Block], target: float, fresh: Callable[[], Page], rng: random.Random) -> float:
    """Replaces sentences in place as long as the page stays above the target; returns the similarity reached."""
    original = ngrams(parent.text)
    similarity = 1.0
    places = [(i, j) for i, block in enumerate(blocks) if block.tag != "h2" for j in range(len(_SENTENCE.split(block.text)))]
    rng.shuffle(places)
    pool: list[str] = []
    for i, j in places:
        if similarity - target <= TOLERANCE:
            break
        if not pool:
            pool = [part for block in fresh().blocks if block.tag == "p" for part in _SENTENCE.split(block.text)]
            rng.shuffle(pool)
        before = blocks[i]
        sentences = _SENTENCE.split(before.text)
        if j >= len(sentences):
            continue  # an earlier replacement joined two sentences of this block
        sentences[j] = pool.pop()
        blocks[i] = Block(before.tag, " ".join(sentences))
        after = jaccard(original, ngrams(replace(parent, blocks=tuple(blocks)).text))
        if after < target:
            blocks[i] = before
        else:
            similarity = after
    return similarity


def _insert_word(block: Block, word: str, rng: random.Random) -> Block:
    """The block with a word put between two others, never inside a formula."""
    parts = _MATH.split(block.text)
    spaces = [(i, m.start()) for i, part in enumerate(parts) if i % 2 == 0 for m in re.finditer(r"(?<=\w) (?=\w)", part)]
    if not spaces:
        return block
    i, at = rng.choice(spaces)
    parts[i] = f"{parts[i][:at]} {word}{parts[i][at:]}"
    return Block(block.tag, "".join(parts))
