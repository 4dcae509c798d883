"""Zstandard files read so that a cut one is noticed."""

import io
from typing import IO, Any

import zstandard

CHUNK_BYTES = 1 << 20


class ZstdReader(io.RawIOBase):
    """Zstandard frames, one after another. A file that ends inside a frame is an EOFError, as with gzip; zstandard's own
    reader takes it for the end."""

    def __init__(self, stream: IO[bytes]):
        self.stream = stream
        self.frame = zstandard.ZstdDecompressor().decompressobj()
        self.is_inside = False
        self.kept = b""

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        while not self.kept:
            packed = self.frame.unused_data if self.frame.eof else b""
            packed = packed or self.stream.read(CHUNK_BYTES)
            if not packed:
                if self.is_inside:
                    raise EOFError("the file ends inside a zstd frame")
                return 0
            if self.frame.eof:
                self.frame = zstandard.ZstdDecompressor().decompressobj()
            self.kept = self.frame.decompress(packed)
            self.is_inside = not self.frame.eof
        given, self.kept = self.kept[: len(buffer)], self.kept[len(buffer) :]
        buffer[: len(given)] = given
        return len(given)


class ForwardOnly:
    """What FastWARC wants of a stream: it asks where it stands and steps over what is left of a record."""

    def __init__(self, stream: IO[bytes]):
        self.stream = stream
        self.position = 0

    def read(self, size: int = -1) -> bytes:
        content = self.stream.read(size)
        self.position += len(content)
        return content

    def tell(self) -> int:
        return self.position

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        target = offset + (self.position if whence == io.SEEK_CUR else 0)
        if target < self.position or whence == io.SEEK_END:
            raise io.UnsupportedOperation("a zstd stream is read forward only")
        while self.position < target and self.read(min(CHUNK_BYTES, target - self.position)):
            pass
        return self.position
