"""How far attention reaches where documents are kept apart: T in `cost.flops_per_token`. No torch: plans use this.

A sequence holds pieces of documents, and a token's attention is within its piece. Attention costs the sum of the pieces' squares,
so T is the mean of their lengths in which each counts by its tokens: sum l^2 / sum l. With documents of one length d, far below a
sequence's, that is d; where lengths differ it is above their mean.
"""

from pathlib import Path

import numpy as np

from recipes.schema import TrainParams
from recipes.stage import Stage, is_finished

LOOKED_AT = 10_000  # documents of each dataset, spread over all of it: a plan reads 40 kB and not a gigabyte


def mean_piece(pieces: np.ndarray) -> float:
    return float(np.average(pieces, weights=pieces))


def document_lengths(dataset: Path, split: str = "train") -> np.ndarray:
    """In tokens, of a tokenized dataset: Megatron's .idx has their number at byte 18 and their lengths from byte 34."""
    file = dataset / f"{split}.idx"
    number = int(np.fromfile(file, dtype="<u8", count=1, offset=18)[0])
    return np.memmap(file, dtype="<i4", mode="r", offset=34, shape=(number,))


def attended_length(stage: Stage) -> int | None:
    """T of a training stage, before it runs. A sequence's length where documents are not kept apart; None where a dataset is not
    made yet, so that nothing tells."""
    params = TrainParams.model_validate(stage.params)
    if params.documents == "plain":
        return params.sequence_length
    folders = {name: Path(stage.input(f"dataset/{name}")) for name in params.blend}
    if not all(is_finished(folder) and (folder / "train.idx").is_file() for folder in folders.values()):
        return None
    reach = {name: mean_piece(_pieces(document_lengths(folder), params.sequence_length)) for name, folder in folders.items()}
    return round(sum(share * reach[name] for name, share in params.blend.items()))


def _pieces(lengths: np.ndarray, sequence_length: int) -> np.ndarray:
    """Of documents laid one behind the other and cut into sequences."""
    ends = np.cumsum(lengths[:: -(-len(lengths) // LOOKED_AT)], dtype=np.int64)
    cuts = np.arange(sequence_length, ends[-1], sequence_length)
    return np.diff(np.unique(np.concatenate([[0], ends, cuts])))
