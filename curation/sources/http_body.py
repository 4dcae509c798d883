"""What a WARC record's HTTP body says once its transfer and content encodings are undone.

Archives often hold bodies that are not encoded as their headers say: crawlers undo an encoding and leave its header. A body
that does not look encoded is taken as it is; one that does and cannot be undone raises CannotDecode.
"""

import io
import re
import zlib

import brotli  # type: ignore[import-untyped]
import zstandard

from curation.sources.packed import PackedReader
from curation.sources.unpack import ZSTD

MAX_BODY_BYTES = 1 << 26  # of HTML; what unpacks to more is no page
_CHUNK_SIZE = re.compile(rb"([0-9a-fA-F]{1,8})[ \t]*(?:;[^\r\n]{0,200})?\r?\n")


class CannotDecode(Exception):
    """A body that is encoded, and damaged or of an unknown encoding."""


class TooLarge(Exception):
    """A body of more than MAX_BODY_BYTES."""


def decode_body(raw: bytes, transfer_encoding: str | None, content_encoding: str | None) -> bytes:
    """The bytes that a browser would show. Encodings are named as in the headers, the outermost last."""
    body = _without_chunks(raw) if "chunked" in (transfer_encoding or "").lower() else raw
    for encoding in reversed([name.strip().lower() for name in (content_encoding or "").split(",")]):
        body = _undone(body, encoding)
    if len(body) > MAX_BODY_BYTES:
        raise TooLarge
    return body


def _without_chunks(raw: bytes) -> bytes:
    size = _CHUNK_SIZE.match(raw)
    if size is None or not raw:
        return raw  # the crawler joined the chunks and left the header
    chunks: list[bytes] = []
    while size is not None:
        length, begin = int(size[1], 16), size.end()
        chunk = raw[begin : begin + length]
        if len(chunk) < length:
            raise CannotDecode("the last chunk is cut")
        if length == 0:
            return b"".join(chunks)
        chunks.append(chunk)
        at = begin + length
        at += 2 if raw[at : at + 2] == b"\r\n" else 1
        size = _CHUNK_SIZE.match(raw, at)
    raise CannotDecode("no chunk where one must begin")


def _undone(body: bytes, encoding: str) -> bytes:
    try:
        if encoding in ("gzip", "x-gzip") and body[:2] == b"\x1f\x8b":
            return _inflated(body, zlib.MAX_WBITS | 16)
        if encoding == "deflate" and body:
            return body if _is_markup(body) else _inflated(body, zlib.MAX_WBITS if body[0] & 15 == 8 else -zlib.MAX_WBITS)
        if encoding == "br" and body:
            return body if _is_markup(body) else _without_brotli(body)
        if encoding == "zstd" and body.startswith(ZSTD):
            return _bounded(io.BufferedReader(PackedReader(io.BytesIO(body), "zstd")).read(MAX_BODY_BYTES + 1))
    except (zlib.error, brotli.error, zstandard.ZstdError, EOFError) as error:
        raise CannotDecode(str(error)) from error
    return body


def _inflated(body: bytes, window: int) -> bytes:
    unpacker = zlib.decompressobj(window)
    content = _bounded(unpacker.decompress(body, MAX_BODY_BYTES + 1))
    if not unpacker.eof:
        raise CannotDecode("the body is cut")
    return content


def _without_brotli(body: bytes) -> bytes:
    unpacker = brotli.Decompressor()
    content = _bounded(unpacker.process(body, output_buffer_limit=MAX_BODY_BYTES + 1))
    if not unpacker.is_finished():
        raise CannotDecode("the body is cut")
    return content


def _bounded(content: bytes) -> bytes:
    if len(content) > MAX_BODY_BYTES:
        raise TooLarge
    return content


def _is_markup(body: bytes) -> bool:
    """These encodings have no mark of their own, and no page in them begins like this."""
    return body.lstrip()[:1] == b"<"
