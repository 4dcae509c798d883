"""Sources of a crawl: how a hundred terabytes of files are known before anything is read."""

import os
from pathlib import Path
from typing import Any

import pytest

from recipes.fingerprint import LARGE_BYTES, file_hash, source_hash
from recipes.stage import write_atomically
from slurm import inputs
from slurm.inputs import Outside


def sparse(path: Path, size: int, **at: bytes) -> Path:
    """A file that takes no room; `at`: what stands at "start", "middle" and "end"."""
    with open(path, "wb") as file:
        file.truncate(size)
        for name, content in at.items():
            file.seek({"start": 0, "middle": size // 2, "end": size - len(content)}[name])
            file.write(content)
    return path


@pytest.mark.parametrize("place", ["start", "middle", "end"])
def test_a_large_compressed_source_is_known_by_its_size_and_pieces(tmp_path: Path, place: str) -> None:
    known = source_hash(sparse(tmp_path / "crawl.warc.gz", LARGE_BYTES))
    assert source_hash(sparse(tmp_path / "crawl.warc.gz", LARGE_BYTES)) == known
    assert source_hash(sparse(tmp_path / "crawl.warc.gz", LARGE_BYTES, **{place: b"other"})) != known
    assert source_hash(sparse(tmp_path / "crawl.warc.gz", LARGE_BYTES + 1)) != known


def test_text_and_small_files_are_known_by_all_of_their_content(tmp_path: Path) -> None:
    for path in (sparse(tmp_path / "pages.jsonl", LARGE_BYTES), sparse(tmp_path / "small.warc.gz", 1000)):
        assert source_hash(path) == file_hash(path)


def test_hashes_are_remembered_and_written_once_for_all_files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for number in range(50):
        (tmp_path / f"{number:02d}.jsonl").write_text(f"{number}\n")
    written: list[Path] = []
    write = write_atomically

    def watched(path: Path, content: bytes) -> None:
        written.append(path)
        write(path, content)

    def never(path: Path) -> str:
        raise AssertionError(f"{path} is hashed again")

    monkeypatch.setattr(inputs, "write_atomically", watched)
    first = Outside(tmp_path).locate(f"{tmp_path}/*.jsonl", "sources.pages.path")
    assert written == [tmp_path / ".content_hashes.json"]
    monkeypatch.setattr(inputs, "source_hash", never)
    assert Outside(tmp_path).locate(f"{tmp_path}/*.jsonl", "sources.pages.path") == first
    assert len(written) == 1


def test_a_source_that_changed_has_another_identity(tmp_path: Path) -> None:
    def identity() -> Any:
        return Outside(tmp_path).locate(f"{tmp_path}/pages.jsonl", "sources.pages.path").identity

    (tmp_path / "pages.jsonl").write_text("a\n")
    before = identity()
    (tmp_path / "pages.jsonl").write_text("b\n")
    os.utime(tmp_path / "pages.jsonl", ns=(1, 1))
    assert identity() != before
