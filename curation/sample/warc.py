"""WARC records as Common Crawl stores them: one gzip member a record, requests and metadata beside responses."""

import base64
import gzip
import hashlib
from dataclasses import dataclass

CRLF = b"\r\n"


@dataclass(frozen=True, slots=True)
class Capture:
    """One fetched address: what the server sent, and when."""

    id: str  # <urn:uuid:…>, of the response record
    url: str
    date: str  # 2019-03-04T05:06:07Z
    body: bytes
    content_type: str = "text/html; charset=utf-8"
    status: str = "200 OK"


def response(capture: Capture) -> bytes:
    """The gzip member of a response record."""
    head = (
        f"HTTP/1.1 {capture.status}\r\nDate: {capture.date}\r\nServer: nginx\r\nContent-Type: {capture.content_type}\r\n"
        f"Content-Length: {len(capture.body)}\r\n\r\n"
    )
    block = head.encode("latin-1") + capture.body
    headers = {
        "WARC-Type": "response",
        "WARC-Date": capture.date,
        "WARC-Record-ID": capture.id,
        "Content-Length": str(len(block)),
        "Content-Type": "application/http; msgtype=response",
        "WARC-Target-URI": capture.url,
        "WARC-Payload-Digest": _digest(capture.body),
        "WARC-Block-Digest": _digest(block),
    }
    return _member(headers, block)


def request(capture: Capture, record_id: str) -> bytes:
    host = capture.url.split("/")[2]
    block = f"GET / HTTP/1.1\r\nUser-Agent: CCBot/2.0\r\nHost: {host}\r\n\r\n".encode()
    headers = {
        "WARC-Type": "request",
        "WARC-Date": capture.date,
        "WARC-Record-ID": record_id,
        "Content-Length": str(len(block)),
        "Content-Type": "application/http; msgtype=request",
        "WARC-Target-URI": capture.url,
        "WARC-Concurrent-To": capture.id,
    }
    return _member(headers, block)


def metadata(capture: Capture, record_id: str) -> bytes:
    block = b"fetchTimeMs: 210\r\ncharset-detected: UTF-8\r\n"
    headers = {
        "WARC-Type": "metadata",
        "WARC-Date": capture.date,
        "WARC-Record-ID": record_id,
        "Content-Length": str(len(block)),
        "Content-Type": "application/warc-fields",
        "WARC-Target-URI": capture.url,
        "WARC-Refers-To": capture.id,
    }
    return _member(headers, block)


def warcinfo(name: str, date: str, record_id: str) -> bytes:
    block = b"isPartOf: sample\r\ndescription: made pages with known truth\r\nformat: WARC File Format 1.0\r\n"
    headers = {
        "WARC-Type": "warcinfo",
        "WARC-Date": date,
        "WARC-Filename": name,
        "WARC-Record-ID": record_id,
        "Content-Length": str(len(block)),
        "Content-Type": "application/warc-fields",
    }
    return _member(headers, block)


def _digest(content: bytes) -> str:
    return "sha1:" + base64.b32encode(hashlib.sha1(content).digest()).decode()


def _member(headers: dict[str, str], block: bytes) -> bytes:
    lines = CRLF.join(f"{name}: {value}".encode() for name, value in headers.items())
    return gzip.compress(b"WARC/1.0\r\n" + lines + CRLF * 2 + block + CRLF * 2, compresslevel=6, mtime=0)
