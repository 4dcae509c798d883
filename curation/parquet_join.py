"""Joins parquet files of one schema into one by copying their row groups as they lie on disk: nothing is decoded or packed
again, only the footer, which says where each column of each group begins, is made anew. pyarrow can neither append to a parquet
file nor move a row group.

A footer is a Thrift structure in the compact protocol, read here into plain Python and written back with other numbers:
https://github.com/apache/parquet-format/blob/master/src/main/thrift/parquet.thrift
"""

import os
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import IO, Any

MAGIC = b"PAR1"
CHUNK_BYTES = 1 << 18  # larger ones are new pages of memory each time, and five times as slow
TAIL_BYTES = 8  # length of the footer, magic
FILE_NUM_ROWS, FILE_ROW_GROUPS = 3, 4  # fields of FileMetaData; those of the structures inside it:
GROUP_COLUMNS, GROUP_OFFSET, GROUP_ORDINAL = 1, 5, 7
COLUMN_OFFSETS, COLUMN_METADATA = (2, 4, 6), 3  # the column itself, its offset index, its column index
METADATA_OFFSETS = (9, 10, 11, 14)  # data pages, index pages, dictionary, bloom filter

TRUE, FALSE, BYTE, DOUBLE, BINARY, LIST, SET, STRUCT = 1, 2, 3, 7, 8, 9, 10, 12  # parquet has no maps
Struct = dict[int, tuple[int, Any]]  # number of a field: its type and value


def join_parquet(files: Sequence[Path], out: IO[bytes]) -> None:
    """Row groups of `files` one after another. The first file's schema and metadata are the whole's."""
    out.write(MAGIC)
    joined: Struct = {}
    for file in files:
        with open(file, "rb") as source:
            footer, body_bytes = _read_footer(source, file)
            _move(footer, by=out.tell() - len(MAGIC))
            source.seek(len(MAGIC))
            copy_bytes(source, out, body_bytes)
        joined = _extended(joined, footer, file) if joined else footer
    for ordinal, group in enumerate(joined[FILE_ROW_GROUPS][1][1]):
        if GROUP_ORDINAL in group:
            group[GROUP_ORDINAL] = (group[GROUP_ORDINAL][0], ordinal)
    content = b"".join(_struct_bytes(joined))
    out.write(content + len(content).to_bytes(4, "little") + MAGIC)


def copy_bytes(source: IO[bytes], out: IO[bytes], num_bytes: int) -> None:
    while num_bytes:
        chunk = source.read(min(CHUNK_BYTES, num_bytes))
        if not chunk:
            raise EOFError(f"{source.name} ends {num_bytes} bytes early")
        out.write(chunk)
        num_bytes -= len(chunk)


def _read_footer(source: IO[bytes], file: Path) -> tuple[Struct, int]:
    """The footer, and the bytes between the magic and it."""
    size = source.seek(0, os.SEEK_END)
    source.seek(max(0, size - TAIL_BYTES))
    tail = source.read()
    length = int.from_bytes(tail[:4], "little")
    body_bytes = size - TAIL_BYTES - length - len(MAGIC)
    if tail[4:] != MAGIC or body_bytes < 0:
        raise ValueError(f"{file} is not a whole parquet file; remove it and run its stage again")
    source.seek(size - TAIL_BYTES - length)
    return _Reader(source.read(length)).struct(), body_bytes


def _move(footer: Struct, *, by: int) -> None:
    """All places in the file that a footer names."""
    for group in footer[FILE_ROW_GROUPS][1][1]:
        _add(group, (GROUP_OFFSET,), by)
        for column in group[GROUP_COLUMNS][1][1]:
            _add(column, COLUMN_OFFSETS, by)
            _add(column[COLUMN_METADATA][1], METADATA_OFFSETS, by)


def _add(struct: Struct, fields: tuple[int, ...], by: int) -> None:
    for field in fields:
        if field in struct and struct[field][1]:  # 0: not told
            struct[field] = (struct[field][0], struct[field][1] + by)


def _extended(joined: Struct, footer: Struct, file: Path) -> Struct:
    if joined[2] != footer[2]:
        raise ValueError(f"{file} has another schema than the files before it: they are not parts of one")
    (kind, (item, groups)), (_, (_, more)) = joined[FILE_ROW_GROUPS], footer[FILE_ROW_GROUPS]
    num_rows = (joined[FILE_NUM_ROWS][0], joined[FILE_NUM_ROWS][1] + footer[FILE_NUM_ROWS][1])
    return joined | {FILE_NUM_ROWS: num_rows, FILE_ROW_GROUPS: (kind, (item or footer[FILE_ROW_GROUPS][1][0], groups + more))}


class _Reader:
    """Thrift's compact protocol. Lists are (type of the items, items)."""

    def __init__(self, content: bytes):
        self.content = content
        self.at = 0

    def struct(self) -> Struct:
        fields: Struct = {}
        number = 0
        while head := self._take(1)[0]:
            step, kind = head >> 4, head & 15
            number = number + step if step else _signed(self._varint())
            fields[number] = (kind, kind == TRUE if kind in (TRUE, FALSE) else self._value(kind))
        return fields

    def _value(self, kind: int) -> Any:
        read: dict[int, Callable[[], Any]] = {
            TRUE: lambda: self._take(1)[0],  # inside lists
            FALSE: lambda: self._take(1)[0],
            BYTE: lambda: self._take(1)[0],
            DOUBLE: lambda: self._take(8),
            BINARY: lambda: self._take(self._varint()),
            LIST: self._list,
            SET: self._list,
            STRUCT: self.struct,
        }
        return read[kind]() if kind in read else _signed(self._varint())

    def _list(self) -> tuple[int, list[Any]]:
        head = self._take(1)[0]
        size, kind = head >> 4, head & 15
        size = self._varint() if size == 15 else size
        return kind, [self._value(kind) for _ in range(size)]

    def _varint(self) -> int:
        value = shift = 0
        while True:
            byte = self._take(1)[0]
            value |= (byte & 127) << shift
            shift += 7
            if byte < 128:
                return value

    def _take(self, num_bytes: int) -> bytes:
        taken = self.content[self.at : self.at + num_bytes]
        self.at += num_bytes
        return taken


def _signed(value: int) -> int:
    return (value >> 1) ^ -(value & 1)


def _struct_bytes(struct: Struct) -> Iterator[bytes]:
    before = 0
    for number, (kind, value) in sorted(struct.items()):
        kind = (TRUE if value else FALSE) if kind in (TRUE, FALSE) else kind
        step = number - before
        yield bytes([step << 4 | kind]) if 0 < step < 16 else bytes([kind]) + _varint_bytes(number * 2)
        before = number
        if kind not in (TRUE, FALSE):
            yield from _value_bytes(kind, value)
    yield b"\0"


def _value_bytes(kind: int, value: Any) -> Iterator[bytes]:
    if kind in (TRUE, FALSE, BYTE):
        yield bytes([value])
    elif kind == DOUBLE:
        yield value
    elif kind == BINARY:
        yield _varint_bytes(len(value)) + value
    elif kind == STRUCT:
        yield from _struct_bytes(value)
    elif kind in (LIST, SET):
        item, items = value
        yield bytes([len(items) << 4 | item]) if len(items) < 15 else bytes([15 << 4 | item]) + _varint_bytes(len(items))
        for inside in items:
            yield from _value_bytes(item, inside)
    else:
        yield _varint_bytes(value << 1 if value >= 0 else (~value << 1) | 1)


def _varint_bytes(value: int) -> bytes:
    out = bytearray()
    while value > 127:
        out.append(value & 127 | 128)
        value >>= 7
    out.append(value)
    return bytes(out)
