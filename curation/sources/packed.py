"""Gzip and zstandard files read so that damage is noticed, and everything before it is kept.

zstandard's own reader takes a cut file for a whole one; Python's GzipFile loses up to a buffer of whole lines before the damage.
"""

import io
import zlib
from collections import deque
from collections.abc import Callable
from typing import IO, Any

import zstandard

CHUNK_BYTES = 1 << 18
KEPT_BYTES = 1 << 22
PACKED_BYTES = 1 << 13  # at a time: zstd packs up to 128 kB into 4 bytes, so these are 256 MB at most
MAX_WINDOW_BYTES = 1 << 31  # of files made with `zstd --long=31`

FRAMES: dict[str, Callable[[], Any]] = {
    "gzip": lambda: zlib.decompressobj(zlib.MAX_WBITS | 16),
    "zstd": lambda: zstandard.ZstdDecompressor(max_window_size=MAX_WINDOW_BYTES).decompressobj(),
}


class PackedReader(io.RawIOBase):
    """Gzip members or zstandard frames, one after another. A file that ends inside one is an EOFError, damage a zlib.error or
    ZstdError; both come only when all that can be unpacked has been read."""

    def __init__(self, stream: IO[bytes], packed_as: str):
        self.stream = stream
        self.new_frame = FRAMES[packed_as]
        self.frame = self.new_frame()
        self.is_inside = False
        self.kept = b""

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        while not self.kept:
            packed = self._packed()
            if not packed:
                if self.is_inside:
                    raise EOFError("the file ends inside a frame")
                return 0
            self.kept = self.frame.decompress(packed)
            self.is_inside = not self.frame.eof
        given, self.kept = self.kept[: len(buffer)], self.kept[len(buffer) :]
        buffer[: len(given)] = given
        return len(given)

    def _packed(self) -> bytes:
        """The bytes that follow. Between frames there may be zeros, as tapes and tar leave them."""
        if not self.frame.eof:
            return self.stream.read(PACKED_BYTES)
        packed = self.frame.unused_data.lstrip(b"\0")
        while not packed and (more := self.stream.read(PACKED_BYTES)):
            packed = more.lstrip(b"\0")
        self.frame = self.new_frame()
        return bytes(packed)


class Rewindable:
    """An unpacked stream as FastWARC wants it: it asks where it stands and steps over what is left of a record. The last
    KEPT_BYTES can be read again, to look there for the record behind a damaged one."""

    def __init__(self, stream: IO[bytes]):
        self.stream = stream
        self.position = 0
        self._behind: deque[bytes] = deque()  # what was read last, up to `position`
        self._num_behind = 0
        self._ahead = b""  # what is to be read again

    def read(self, size: int = -1) -> bytes:
        if self._ahead and size >= 0:
            content, self._ahead = self._ahead[:size], self._ahead[size:]
        else:
            content, self._ahead = self._ahead + self.stream.read(size), b""
        self.position += len(content)
        self._behind.append(content)
        self._num_behind += len(content)
        while self._num_behind - len(self._behind[0]) > KEPT_BYTES:
            self._num_behind -= len(self._behind.popleft())
        return content

    def tell(self) -> int:
        return self.position

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        """Back no farther than KEPT_BYTES: there it stays."""
        if whence == io.SEEK_END:
            raise io.UnsupportedOperation("the end of a packed stream is not known")
        target = offset + (self.position if whence == io.SEEK_CUR else 0)
        if target < self.position:
            kept = b"".join(self._behind)
            start = self.position - len(kept)
            back = max(target - start, 0)
            self._ahead = kept[back:] + self._ahead
            self._behind, self._num_behind = deque([kept[:back]]), back
            self.position = start + back
        while self.position < target and self.read(min(CHUNK_BYTES, target - self.position)):
            pass
        return self.position
