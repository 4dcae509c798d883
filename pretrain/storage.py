"""What training leaves on the disk, before it runs: bytes of a checkpoint, and how many stay. No torch: plans use this."""

from collections.abc import Collection

from pretrain.checkpoint.files import kept_steps
from pretrain.cost import num_parameters
from recipes.schema import Cadence, ExportParams, Model, TrainParams


def checkpoint_bytes(params: TrainParams) -> int:
    """Of all processes' files: of every parameter the weight in the model's own type, in float32 the optimizer's weight and two
    moments, and the running average where there is one. FP8 weights are saved as bf16. Names and shapes come on top: 0.1 MB."""
    weight = 4 if params.precision == "fp32" else 2
    return num_parameters(params.model) * (weight + 12 + (0 if params.ema_decay is None else 4))


def average_bytes(model: Model) -> int:
    """Float32 weights alone."""
    return num_parameters(model) * 4


def export_bytes(params: ExportParams) -> int:
    return num_parameters(params.model) * (4 if params.dtype == "float32" else 2)


def num_checkpoints(params: TrainParams, cadence: Cadence, branch_points: Collection[int]) -> tuple[int, int]:
    """Those that lie there at most while the stage trains, one of them being written, and those that stay when it is finished."""
    saved = {*range(cadence.checkpoint_every_steps, params.steps, cadence.checkpoint_every_steps), *branch_points, params.steps}
    rule = (params.global_batch_size * params.sequence_length, cadence.keep_every_tokens, branch_points)
    at_most = min(len(kept_steps(saved, cadence.keep_checkpoints, *rule)) + 1, len(saved))
    return at_most, len(kept_steps(saved, 1, *rule))
