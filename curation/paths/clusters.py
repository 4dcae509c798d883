r"""Which steps of a question's traces say the same.

Two steps are alike by the cosine of their TF-IDF vectors over words and pairs of words, weighted within the question, in the
tokens of decontamination (so that `\frac12` is `\frac{1}{2}`, and `\leq` is ≤). However alike, they are one only when they have
the same numbers, signs, variables and negations: "x = 3" is neither "x = -3" nor "y = 3". A step joins the earlier one that it is
most like (leader clustering): deterministic, and 4,000 steps of a question take about a second.
"""

import math
from collections import Counter, defaultdict
from collections.abc import Sequence
from functools import lru_cache
from itertools import pairwise

from curation.decontaminate.math_tokens import find_tokens, normalise

SIGNS = ("+", "-", "/", "=", "<", ">", "<=", ">=", "!=")
NEGATIONS = ("not", "no", "never", "cannot", "nor", "neither", "without", "false", "contradiction", "impossible")
WORDS_OF_A_LETTER = ("a", "i")

Vector = dict[str, float]


def clusters(steps: Sequence[str], min_similarity: float) -> list[int]:
    """The number of each step's cluster, in the order of their first steps."""
    tokens = [tokens_of(step) for step in steps]
    vectors = tf_idf([tuple(words) for words in tokens])
    found: list[int] = []
    num_clusters = 0
    known: dict[tuple[object, ...], int] = {}  # steps that are the same token by token
    leaders: dict[tuple[object, ...], dict[str, list[tuple[int, float]]]] = defaultdict(lambda: defaultdict(list))
    for step, words, vector in zip(steps, tokens, vectors, strict=True):
        decisive = decides(step, words)
        same = known.get((decisive, *words))
        if same is None:
            postings = leaders[decisive]
            same = _most_alike(vector, postings, min_similarity)
            if same is None:
                same, num_clusters = num_clusters, num_clusters + 1
                for feature, weight in vector.items():
                    postings[feature].append((same, weight))
            known[decisive, *words] = same
        found.append(same)
    return found


def tokens_of(step: str) -> list[str]:
    return [token for token, _, _ in find_tokens(normalise(step))]


@lru_cache(maxsize=10_000)
def numbers_of(step: str) -> frozenset[str]:
    """Kept for the steps of a few questions: each is in several paths."""
    return frozenset(token for token in tokens_of(step) if token[0].isdecimal())


def decides(step: str, tokens: Sequence[str]) -> tuple[object, ...]:
    """What must be equal in steps that say the same, in any order; a power is no product."""
    kept = (token for token in tokens if token[0].isdecimal() or token in SIGNS or token in NEGATIONS or _is_variable(token))
    return (*sorted(kept), step.count("^"))


def _is_variable(token: str) -> bool:
    return len(token) == 1 and token.isalpha() and token.isascii() and token not in WORDS_OF_A_LETTER


def tf_idf(texts: Sequence[Sequence[str]]) -> list[Vector]:
    """Vectors of length 1 over tokens and pairs of tokens; weights as scikit-learn's TfidfVectorizer has them."""
    counts = [Counter([*text, *(f"{one} {other}" for one, other in pairwise(text))]) for text in texts]
    found_in = Counter(feature for count in counts for feature in count)
    vectors = []
    for count in counts:
        weights = {f: n * (math.log((1 + len(texts)) / (1 + found_in[f])) + 1) for f, n in count.items()}
        length = math.sqrt(sum(weight * weight for weight in weights.values()))
        vectors.append({feature: weight / length for feature, weight in weights.items()})
    return vectors


def _most_alike(vector: Vector, postings: dict[str, list[tuple[int, float]]], min_similarity: float) -> int | None:
    """The leader with the greatest cosine, the first of equal ones; None where none is alike enough."""
    cosines: dict[int, float] = defaultdict(float)
    for feature, weight in vector.items():
        for leader, theirs in postings.get(feature, ()):
            cosines[leader] += weight * theirs
    best = max(cosines, key=lambda leader: (round(cosines[leader], 9), -leader), default=None)
    return best if best is not None and cosines[best] >= min_similarity else None
