"""The weighted mean of checkpoints' weights, as a checkpoint: one process, tensor by tensor, whatever layouts wrote them.

Of each member the float32 weights are read (the optimizer's, where it has one), summed in float64 in the page's order and kept in
float32, so that the same members give the same bytes. There is no optimizer state: a mean of AdamW's moments belongs to no step.
Needs the memory of the largest tensor, in float32, about six times (measured: 5.7), whatever the number of members.

Own writer on torch's FileSystemWriter, as everywhere in this folder: `dist_checkpointing.save` wants the whole model in memory.
"""

import io
import shutil
from collections.abc import Callable, Sequence
from pathlib import Path

import torch
from torch.distributed.checkpoint.default_planner import DefaultSavePlanner, create_default_global_save_plan
from torch.distributed.checkpoint.filesystem import FileSystemWriter
from torch.distributed.checkpoint.metadata import ChunkStorageMetadata, MetadataIndex, TensorProperties
from torch.distributed.checkpoint.planner import SavePlan, TensorWriteData, WriteItem, WriteItemType

from pretrain.checkpoint import files
from pretrain.checkpoint.save import rewrite_common, rewrite_metadata
from pretrain.saved_model import LAYERS, SavedModel
from recipes.fingerprint import file_hash

COPIED = "metadata.json"  # says which format it is


def write_mean(folder: Path, members: Sequence[tuple[Path, float]], on_progress: Callable[[int, int], None]) -> Path:
    """Publishes the mean of checkpoints, each with its weight, as a stage's step 0. `on_progress` hears tensors done, and of how
    many. ValueError where they are of different models."""
    sources = [SavedModel(path).in_float32() for path, _ in members]
    _check_shapes(sources)
    making = files.begin(folder, 0)
    planner = _Means(sources, [weight for _, weight in members], on_progress)
    writer = FileSystemWriter(making, single_file_per_rank=True, sync_files=True, thread_count=1, per_thread_copy_ahead=0)
    writer.set_up_storage_writer(True)
    (plan,), contents = create_default_global_save_plan([writer.prepare_local_plan(SavePlan(planner.items))])
    (plan,) = writer.prepare_global_plan([plan])
    writer.finish(contents, [writer.write_data(plan, planner).wait()])
    rewrite_metadata(making / ".metadata")
    first = members[0][0]
    shutil.copyfile(first / COPIED, making / COPIED)
    common = torch.load(first / "common.pt", weights_only=False)
    torch.save({"step": 0, "content_metadata": common["content_metadata"]}, making / "common.pt")
    rewrite_common(making / "common.pt")
    hashes = {file.name: file_hash(file) for file in making.iterdir()}
    return files.publish(making, folder, 0, hashes, {})


def _check_shapes(sources: Sequence[SavedModel]) -> None:
    first, *others = [source.shapes() for source in sources]
    for source, shapes in zip(sources[1:], others, strict=True):
        for key in sorted(first.keys() | shapes.keys()):
            one, other = (list(found[key]) if key in found else "not there" for found in (first, shapes))
            if one != other:
                raise ValueError(
                    f"checkpoints of different models cannot be averaged: {key} is {one} in {sources[0].folder} and {other} in "
                    f"{source.folder}; average stages that trained the same model"
                )


class _Means(DefaultSavePlanner):
    """What is written, and its content when its turn comes: means of tensors; all else is the first member's."""

    def __init__(self, sources: Sequence[SavedModel], weights: Sequence[float], on_progress: Callable[[int, int], None]) -> None:
        super().__init__()
        self.sources, self.weights, self.on_progress = sources, weights, on_progress
        shapes = sources[0].shapes()
        self.items = [item for key in shapes for item in _items(key, shapes[key])]
        self.items += [WriteItem(MetadataIndex(key), WriteItemType.BYTE_IO) for key in sources[0].objects()]
        self.num_tensors, self.num_done = sum(item.tensor_data is not None for item in self.items), 0

    def resolve_data(self, write_item: WriteItem) -> torch.Tensor | io.BytesIO:
        index, about = write_item.index, write_item.tensor_data
        if about is None:
            return self.sources[0].read_object(index.fqn)
        assert index.offset is not None
        name = index.fqn
        if name.startswith(LAYERS):
            name = f"{LAYERS}{index.offset[0]}.{name.removeprefix(LAYERS)}"
        total = torch.zeros(about.chunk.sizes, dtype=torch.float64)
        for source, weight in zip(self.sources, self.weights, strict=True):
            total.add_(source.read(name).view(about.chunk.sizes).double().mul_(weight))  # one rounding each, on any processor
        self.num_done += 1
        self.on_progress(self.num_done, self.num_tensors)
        return total.float()


def _items(key: str, shape: torch.Size) -> list[WriteItem]:
    """Layers one by one, all else as a whole."""
    layers = range(shape[0]) if key.startswith(LAYERS) else [None]
    items = []
    for layer in layers:
        offsets = torch.Size([layer or 0, *[0] * (len(shape) - 1)])
        chunk = ChunkStorageMetadata(offsets, shape if layer is None else torch.Size([1, *shape[1:]]))
        about = TensorWriteData(chunk, TensorProperties(dtype=torch.float32), shape)
        items.append(WriteItem(MetadataIndex(key, offsets), WriteItemType.SHARD, tensor_data=about))
    return items
