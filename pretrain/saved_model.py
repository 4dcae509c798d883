"""The model in a torch_dist checkpoint, read tensor by tensor on one process, whatever the layout that wrote it.

Only torch's checkpoint format is needed, no process group and no model. Megatron stacks the layers of the whole model
(`decoder.layers.mlp.linear_fc1.weight` is (layer, row, column)), and every process wrote its own chunk of it.
"""

import io
from pathlib import Path

import torch
from torch.distributed.checkpoint.default_planner import DefaultLoadPlanner
from torch.distributed.checkpoint.filesystem import FileSystemReader
from torch.distributed.checkpoint.metadata import BytesStorageMetadata, MetadataIndex, TensorStorageMetadata
from torch.distributed.checkpoint.planner import LoadItemType, LoadPlan, ReadItem

LAYERS = "decoder.layers."
OPTIMIZER, MAIN = "optimizer.", "optimizer.state.param."  # MAIN: the weights in float32, that AdamW works on
EMA = "ema."


class SavedModel:
    """The weights of a checkpoint's folder, by Megatron's names with layers counted over the whole model, from 0. `kind` is what
    their names begin with: nothing, MAIN or EMA."""

    def __init__(self, folder: Path, kind: str = "") -> None:
        self.folder, self.kind = folder, kind
        self.source = FileSystemReader(str(folder))
        self.metadata = self.source.read_metadata()
        self.source.set_up_storage_reader(self.metadata, is_coordinator=True)

    def in_float32(self) -> "SavedModel":
        """The same with the optimizer's weights; without an optimizer, a checkpoint's weights are in float32 already."""
        return SavedModel(self.folder, MAIN if any(key.startswith(MAIN) for key in self.metadata.state_dict_metadata) else "")

    def shapes(self) -> dict[str, torch.Size]:
        """Of all tensors of the model, by their names in the file: layers are stacked."""
        return {
            key: stored.size
            for key, stored in sorted(self.metadata.state_dict_metadata.items())
            if isinstance(stored, TensorStorageMetadata) and not key.startswith((OPTIMIZER, EMA))
        }

    def objects(self) -> list[str]:
        """Names of what the model saved beside tensors."""
        stored = self.metadata.state_dict_metadata
        return sorted(key for key in stored if isinstance(stored[key], BytesStorageMetadata) and not key.startswith(OPTIMIZER))

    def read_object(self, key: str) -> io.BytesIO:
        """As it was written."""
        index = MetadataIndex(key)
        nowhere = torch.Size([0])
        item = ReadItem(LoadItemType.BYTE_IO, index, nowhere, index, nowhere, nowhere)
        destination = _Bytes()
        self.source.read_data(LoadPlan([item]), destination).wait()
        return destination.content

    def read(self, name: str) -> torch.Tensor:
        """Needs the memory of the tensor twice: once whole, once the largest chunk as it is read."""
        key, layer = self.kind + name, None
        if name.startswith(LAYERS):
            number, part = name.removeprefix(LAYERS).split(".", 1)
            key, layer = self.kind + LAYERS + part, int(number)
        stored = self.metadata.state_dict_metadata.get(key)
        if not isinstance(stored, TensorStorageMetadata):
            raise ValueError(f"checkpoint {self.folder} has no tensor {key!r}; was it saved by another model?")
        shape = stored.size if layer is None else stored.size[1:]
        if layer is not None and layer >= stored.size[0]:
            raise ValueError(f"checkpoint {self.folder} has {stored.size[0]} layers, so no {name!r}")
        target = torch.empty(shape, dtype=stored.properties.dtype)
        chunks = [chunk for chunk in stored.chunks if layer is None or chunk.offsets[0] == layer]
        assert sum(chunk.sizes.numel() for chunk in chunks) == target.numel(), f"{name}: the chunks are not the whole"
        items = [_item(key, number, chunk.offsets, chunk.sizes) for number, chunk in enumerate(chunks)]
        destination = _Destination(target if layer is None else target[None], layer or 0)
        self.source.read_data(LoadPlan(items), destination).wait()
        return target


def _item(key: str, number: int, offsets: torch.Size, sizes: torch.Size) -> ReadItem:
    return ReadItem(
        type=LoadItemType.TENSOR,
        dest_index=MetadataIndex(key, offsets, number),
        dest_offsets=offsets,
        storage_index=MetadataIndex(key, offsets),
        storage_offsets=torch.Size([0] * len(sizes)),
        lengths=sizes,
    )


class _Destination(DefaultLoadPlanner):
    """Puts every chunk in its place in one tensor, whose first axis begins at `first`."""

    def __init__(self, target: torch.Tensor, first: int) -> None:
        super().__init__()
        self.target, self.first = target, first

    def resolve_tensor(self, read_item: ReadItem) -> torch.Tensor:
        begin, *rest = read_item.dest_offsets
        place = self.target
        for axis, (offset, length) in enumerate(zip([begin - self.first, *rest], read_item.lengths, strict=True)):
            place = place.narrow(axis, offset, length)
        return place


class _Bytes(DefaultLoadPlanner):
    """Keeps the one object that it is given."""

    def load_bytes(self, read_item: ReadItem, value: io.BytesIO) -> None:
        self.content = value
