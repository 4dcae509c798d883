r"""Which steps of a question's traces say the same.

Two steps are alike by the cosine of their TF-IDF vectors over words and pairs of words, weighted within the question, in the
tokens of decontamination (so that `\frac12` is `\frac{1}{2}`, and `\leq` is ≤). However alike, they are one only when they have
the same numbers, variables, operators and deciding words in the same order (formula.py). A step joins the earlier one that it is
most like (leader clustering), which is deterministic. The time grows with the square of the steps that have the same formulas:
the most that a page takes of a question by default, 2,000 steps, take a second with formulas, four seconds as random words
without any, and half a minute as the same 60 words each time in another order.
"""

import math
from collections import Counter, defaultdict
from collections.abc import Sequence
from itertools import pairwise

from curation.paths.formula import decides, tokens_of

Vector = dict[str, float]


def clusters(steps: Sequence[str], min_similarity: float) -> list[int]:
    """The number of each step's cluster, in the order of their first steps."""
    tokens = [tokens_of(step) for step in steps]
    vectors = tf_idf([tuple(words) for words in tokens])
    found: list[int] = []
    num_clusters = 0
    known: dict[tuple[tuple[str, ...], ...], int] = {}  # steps that are the same token by token
    leaders: dict[tuple[str, ...], dict[str, list[tuple[int, float]]]] = defaultdict(lambda: defaultdict(list))
    for step, words, vector in zip(steps, tokens, vectors, strict=True):
        decisive = decides(step)
        same = known.get((decisive, tuple(words)))
        if same is None:
            postings = leaders[decisive]
            same = _most_alike(vector, postings, min_similarity)
            if same is None:
                same, num_clusters = num_clusters, num_clusters + 1
                for feature, weight in vector.items():
                    postings[feature].append((same, weight))
            known[decisive, tuple(words)] = same
        found.append(same)
    return found


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
