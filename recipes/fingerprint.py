"""The identity of a stage: a hash of all that decides its output, and of nothing else."""

import hashlib
import json
from pathlib import Path
from typing import Any

LARGE_BYTES = 64 * 2**20
PIECE_BYTES = 2**14
COMPRESSED = (".gz", ".zst", ".bz2", ".xz", ".parquet")
TOKENIZER_FILES = ("tokenizer.json", "tokenizer.model", "original/tokenizer.model")


def fingerprint(*, do: str, version: int, params: dict[str, Any], inputs: dict[str, str]) -> str:
    """12 hex digits. `inputs` maps roles to identities: stage fingerprints or content hashes. Mappings keep their order:
    the order of filters decides the output."""
    canonical = json.dumps([do, version, params, inputs], ensure_ascii=False, separators=(",", ":"))
    return hashlib.sha256(canonical.encode()).hexdigest()[:12]


def file_hash(path: Path) -> str:
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def source_hash(path: Path) -> str:
    """Of a file of documents. A large compressed one is known by its size and by pieces of its beginning, middle and end: to hash
    the hundred terabytes of a crawl takes days, and other content has another length, or another checksum at the end."""
    size = path.stat().st_size
    if size < LARGE_BYTES or not path.name.endswith(COMPRESSED):
        return file_hash(path)
    digest = hashlib.sha256(str(size).encode())
    with open(path, "rb", buffering=0) as file:
        for start in (0, size // 2, size - PIECE_BYTES):
            file.seek(start)
            digest.update(file.read(PIECE_BYTES))
    return digest.hexdigest()


def tokenizer_hash(path: Path) -> str:
    """Of what turns text into tokens: tokenizer.json, or Llama 3's tokenizer.model where that is all there is. Other settings,
    chat templates or weights beside the same file make no other tokenizer."""
    candidates = [path] if path.is_file() else [path / name for name in TOKENIZER_FILES]
    found = next((file for file in candidates if file.is_file()), None)
    if found is None:
        raise ValueError(f"{path} is not a tokenizer: it has none of {', '.join(TOKENIZER_FILES)}")
    return file_hash(found)


def content_hash(path: Path) -> str:
    """Of a file, or of a folder's files with their relative names."""
    if path.is_file():
        return file_hash(path)
    digest = hashlib.sha256()
    for file in sorted(p for p in path.rglob("*") if p.is_file()):
        digest.update(f"{file.relative_to(path).as_posix()}\0{file_hash(file)}\0".encode())
    return digest.hexdigest()
