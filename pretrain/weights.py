"""A folder of safetensors: what lies where, one tensor read at a time, and files written tensor by tensor.

Own writer: safetensors' `save_file` wants all tensors of a file in memory together, this one needs a single tensor. The files are
those of `save_file`, byte for byte. Headers are read without torch, so that a plan can look at them.
"""

import json
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from math import prod
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import torch

WHOLE, INDEX = "model.safetensors", "model.safetensors.index.json"
DTYPES = {"float32": "F32", "bfloat16": "BF16"}  # torch's name: safetensors'
BYTES = {"F32": 4, "BF16": 2}
METADATA = {"format": "pt"}


@dataclass(frozen=True)
class Entry:
    """Where a tensor lies."""

    file: Path
    dtype: str  # safetensors' name
    shape: tuple[int, ...]


def has_weights(folder: Path) -> bool:
    return (folder / INDEX).is_file() or (folder / WHOLE).is_file()


def entries(folder: Path) -> dict[str, Entry]:
    """Every tensor of a Hugging Face folder. ValueError names a file that is missing or cut short."""
    if (folder / INDEX).is_file():
        files = sorted(set(json.loads((folder / INDEX).read_text())["weight_map"].values()))
    elif (folder / WHOLE).is_file():
        files = [WHOLE]
    else:
        raise ValueError(f"{folder} has no {WHOLE} (nor an index of several); save the weights as safetensors")
    found: dict[str, Entry] = {}
    for name in files:
        if not (folder / name).is_file():
            raise ValueError(f"{folder}: {INDEX} names {name}, which is not there; is the download complete?")
        found |= _header(folder / name)
    return found


def _header(path: Path) -> dict[str, Entry]:
    size = path.stat().st_size
    with open(path, "rb") as file:
        length = int.from_bytes(file.read(8), "little")
        if size < 8 or 8 + length > size:
            raise ValueError(f"{path} is no safetensors file, or cut short ({size:,} bytes); get it again")
        header: dict[str, Any] = json.loads(file.read(length))
    header.pop("__metadata__", None)
    wanted = 8 + length + max((tensor["data_offsets"][1] for tensor in header.values()), default=0)
    if wanted != size:
        raise ValueError(f"{path} has {size:,} bytes, its header speaks of {wanted:,}; get it again")
    return {name: Entry(path, tensor["dtype"], tuple(tensor["shape"])) for name, tensor in header.items()}


def reader(folder: Path) -> Callable[[str], "torch.Tensor"]:
    """Reads one tensor by name. It is mapped, not copied: only the parts that are looked at come into memory."""
    from safetensors import safe_open

    known = entries(folder)

    def read(name: str) -> "torch.Tensor":
        if name not in known:
            raise ValueError(f"{folder} has no tensor {name!r}; is it a whole Llama checkpoint?")
        with safe_open(known[name].file, framework="pt") as file:
            tensor: torch.Tensor = file.get_tensor(name)
            return tensor

    return read


def write(
    folder: Path, tensors: Iterable[tuple[str, "torch.Tensor"]], shapes: dict[str, tuple[int, ...]], dtype: str, max_bytes: int
) -> int:
    """Writes `tensors`, rounded to `dtype`, in the order in which they come; returns their number. Files hold at most `max_bytes`
    unless one tensor alone is larger; where they are several, an index says which tensor is in which."""
    import torch

    files = _files(shapes, BYTES[DTYPES[dtype]], max_bytes)
    places = {name: place for file, names in files.items() for name, place in _begin(folder / file, names, shapes, dtype).items()}
    written = set()
    for name, tensor in tensors:
        assert tuple(tensor.shape) == shapes[name], f"{name} has shape {tuple(tensor.shape)}, not {shapes[name]}"
        file, offset = places[name]
        with open(file, "r+b") as stream:
            stream.seek(offset)
            stream.write(tensor.to(getattr(torch, dtype)).contiguous().view(torch.uint8).numpy().data)
        written.add(name)
    assert written == shapes.keys(), f"never written: {sorted(shapes.keys() - written)}"
    if len(files) > 1:
        index = {
            "metadata": {"total_size": sum(prod(shape) for shape in shapes.values()) * BYTES[DTYPES[dtype]]},
            "weight_map": dict(sorted((name, file) for file, names in files.items() for name in names)),
        }
        (folder / INDEX).write_text(json.dumps(index, indent=2) + "\n")
    return len(written)


def _files(shapes: dict[str, tuple[int, ...]], item_bytes: int, max_bytes: int) -> dict[str, list[str]]:
    """File names with the tensors of each, filled in order."""
    files: list[list[str]] = [[]]
    filled = 0
    for name, shape in shapes.items():
        size = prod(shape) * item_bytes
        if files[-1] and filled + size > max_bytes:
            files.append([])
            filled = 0
        files[-1].append(name)
        filled += size
    if len(files) == 1:
        return {WHOLE: files[0]}
    return {f"model-{number:05d}-of-{len(files):05d}.safetensors": names for number, names in enumerate(files, start=1)}


def _begin(path: Path, names: list[str], shapes: dict[str, tuple[int, ...]], dtype: str) -> dict[str, tuple[Path, int]]:
    """Makes a file with its header and room for its tensors; returns where each begins. In the file they stand by name."""
    header: dict[str, Any] = {"__metadata__": METADATA}
    end = 0
    for name in sorted(names):
        begin, end = end, end + prod(shapes[name]) * BYTES[DTYPES[dtype]]
        header[name] = {"dtype": DTYPES[dtype], "shape": list(shapes[name]), "data_offsets": [begin, end]}
    content = json.dumps(header, separators=(",", ":"), ensure_ascii=False).encode()
    content += b" " * (-len(content) % 8)
    with open(path, "wb") as stream:
        stream.write(len(content).to_bytes(8, "little") + content)
        stream.truncate(8 + len(content) + end)
    return {name: (path, 8 + len(content) + header[name]["data_offsets"][0]) for name in names}
