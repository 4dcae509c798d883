"""When a stage is in the middle of its work: the moment at which a fault proves something."""

from curation.parts import working_folder
from curation.ranks import num_ranks
from pretrain.metrics import METRICS
from recipes.stage import Stage

STRUCK_RANK = 0  # of a curation stage; training is struck as a whole


def moment_of(stage: Stage) -> str:
    """What it is at; empty while it is not there yet."""
    if stage.do == "train":
        metrics, steps = stage.folder / METRICS, stage.params["steps"]
        done = metrics.read_bytes().count(b"\n") if metrics.is_file() else 0
        return f"step {done} of {steps}" if 2 * done >= steps else ""
    writes = any(file.is_file() for file in working_folder(stage.folder, STRUCK_RANK).rglob("*"))
    return f"rank {STRUCK_RANK} of {num_ranks(stage)} writes" if writes else ""
