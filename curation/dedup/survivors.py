"""Which of several duplicates stays: the rule of a page (`keep`), an ordered list of what decides."""

from collections.abc import Sequence
from itertools import takewhile

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from curation.dedup.shingles import Hashes

_DESCENDING = ("math_score", "length")  # the oldest date and the first source come first
_LAST = np.uint64(0xFFFFFFFF)


def rule_columns(documents: pa.Table, keep: Sequence[str], sources: Sequence[str]) -> list[tuple[str, pa.ChunkedArray, str]]:
    """(name, values without gaps, order) for each part of the rule but the id. What a document lacks counts as worst."""
    made = []
    for name in takewhile(lambda name: name != "id", keep):
        column = documents[name]
        if name == "source":
            position = pc.index_in(documents["source"], pa.array(sources, pa.string()))
            column = pc.fill_null(position, len(sources))
        elif name == "math_score":
            column = pc.fill_null(column, -1.0)
        elif name == "date":
            column = pc.fill_null(column, 99999999999999)
        made.append((name, column, "descending" if name in _DESCENDING else "ascending"))
    return made


def wanted_codes(documents: pa.Table, keep: Sequence[str], sources: Sequence[str]) -> Hashes:
    """Smaller is more wanted, by the first two parts of the rule. Only for choosing whom the members of a huge bucket meet; the
    survivor is chosen by the rule itself."""
    code = np.zeros(len(documents), np.uint64)
    for name, column, order in rule_columns(documents, keep, sources)[:2]:
        values = column.to_numpy()
        if name == "math_score":
            values = (np.clip(values, -1, 1) + 1) * (1 << 30)
        elif name == "date":
            values = values // 100_000  # to the half of a day: it has to fit
        part = np.clip(values, 0, int(_LAST)).astype(np.uint64)
        code = (code << np.uint64(32)) | (_LAST - part if order == "descending" else part)
    return code
