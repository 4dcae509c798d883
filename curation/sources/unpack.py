"""Raw files opened whatever their names say: gzip, zstd and plain content are told by their first bytes.

Files that are something else altogether (an archive, another compression, a page) raise `ForeignFile`, which names the kind.
"""

import io
import zlib
from collections.abc import Iterator
from typing import IO

import zstandard

from curation.sources.packed import PackedReader

GZIP = b"\x1f\x8b"
ZSTD = b"\x28\xb5\x2f\xfd"
SKIPPED_FRAME = b"\x2a\x4d\x18"  # behind 0x50 to 0x5f: what pzstd begins its files with
HEAD_BYTES = 4096
BUFFER_BYTES = 1 << 20
MAX_LINE_BYTES = 1 << 25  # longer lines are no documents, and would be in memory whole
TAR_MARK, TAR_OFFSET = b"ustar", 257
UTF8_MARK = b"\xef\xbb\xbf"
FOREIGN = {
    b"filedesc://": "arc_archive",
    b"PK\x03\x04": "zip_archive",
    b"BZh": "bzip2_file",
    b"\xfd7zXZ": "xz_file",
    b"7z\xbc\xaf": "7z_archive",
    b"PAR1": "parquet_file",
    b"ARROW1": "arrow_file",
    b"%PDF": "pdf_file",
    b"\xff\xfe": "utf16_text",
    b"\xfe\xff": "utf16_text",
    b"{\0": "utf16_text",
    b"\0{": "utf16_text",
}
PAGES = (b"<!doctype", b"<html", b"<?xml")


class ForeignFile(Exception):
    """`kind` says what a file is instead of what the page takes it for."""

    def __init__(self, kind: str):
        super().__init__(kind)
        self.kind = kind


def compression(stream: IO[bytes]) -> str:
    """What packs a file: "gzip", "zstd" or "". Raises ForeignFile. The stream stands at its beginning before and after."""
    head = stream.read(HEAD_BYTES)
    stream.seek(0)
    is_zstd = head.startswith(ZSTD) or head[1:4] == SKIPPED_FRAME
    packed_as = "gzip" if head.startswith(GZIP) else "zstd" if is_zstd else ""
    refuse_foreign(_unpacked(head, packed_as))
    return packed_as


def refuse_foreign(head: bytes) -> None:
    for mark, kind in FOREIGN.items():
        if head.startswith(mark):
            raise ForeignFile(kind)
    if head[TAR_OFFSET:].startswith(TAR_MARK):
        raise ForeignFile("tar_archive")
    if head.removeprefix(UTF8_MARK).lstrip().lower().startswith(PAGES):
        raise ForeignFile("html_file")


def _unpacked(head: bytes, packed_as: str) -> bytes:
    """As much of a file's beginning as can be unpacked."""
    try:
        if packed_as == "gzip":
            return zlib.decompressobj(zlib.MAX_WBITS | 16).decompress(head, HEAD_BYTES)
        if packed_as == "zstd":
            return zstandard.ZstdDecompressor().stream_reader(head).read(HEAD_BYTES)
    except (zlib.error, zstandard.ZstdError):
        return b""  # the reader meets the same damage, and counts it
    return head


def unpacked(stream: IO[bytes]) -> IO[bytes]:
    """The content of a gzip, zstd or plain file. Raises ForeignFile; reading on, the errors of `damage`."""
    packed_as = compression(stream)
    return io.BufferedReader(PackedReader(stream, packed_as), BUFFER_BYTES) if packed_as else stream


DAMAGE = (EOFError, zlib.error, zstandard.ZstdError, OSError)


def damage(error: BaseException, packed_as: str) -> str:
    """The kind of damage that an error in reading a file of this compression tells of."""
    if isinstance(error, EOFError):
        return f"truncated_{packed_as}"
    if isinstance(error, zlib.error):
        return "corrupt_gzip"
    return "corrupt_zstd" if isinstance(error, zstandard.ZstdError) else "unreadable_file"


def lines(stream: IO[bytes]) -> Iterator[bytes | None]:
    """Lines without a byte order mark; None for one that is too long, of which only MAX_LINE_BYTES are ever in memory."""
    is_first, is_inside = True, False
    while line := stream.readline(MAX_LINE_BYTES):
        is_whole = line.endswith(b"\n") or len(line) < MAX_LINE_BYTES
        if is_inside:
            is_inside = not is_whole
        elif is_whole:
            yield line.removeprefix(UTF8_MARK) if is_first else line
        else:
            is_inside = True
            yield None
        is_first = False
