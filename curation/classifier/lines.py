"""Many lines in one block of bytes, as compiled code reads them."""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
import numpy.typing as npt


@dataclass(frozen=True)
class Lines:
    """Line i is data[ends[i - 1] : ends[i]]."""

    data: npt.NDArray[np.uint8]
    ends: npt.NDArray[np.int64]

    def __len__(self) -> int:
        return len(self.ends)

    def decode(self) -> list[str]:
        block = self.data.tobytes()
        return [block[start:end].decode() for start, end in pairwise([0, *self.ends.tolist()])]


def join(encoded: Sequence[bytes]) -> Lines:
    lengths = np.fromiter(map(len, encoded), np.int64, len(encoded))
    return Lines(np.frombuffer(b"".join(encoded), np.uint8), np.cumsum(lengths))
