"""Rows of a file of problems: jsonl (plain, .gz, .zst) or parquet, local or of a dataset on the hub."""

import gzip
import io
import json
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import pyarrow as arrow
import pyarrow.parquet as parquet
import zstandard

from recipes.outside import matching

DATASET = "hf://datasets/"
Place = str  # "FILE, row N", for messages
UNREADABLE = (OSError, EOFError, UnicodeDecodeError, zstandard.ZstdError, arrow.ArrowException)


def read_rows(location: str, columns: Sequence[str], also: Sequence[str] = ()) -> Iterator[tuple[Place, dict[str, Any]]]:
    """Every row with where it stands. ValueError for a file that is missing, damaged or empty, or lacks one of the columns.
    `also`: columns that it may lack."""
    num_rows = 0
    for file in _files(location):
        try:
            for number, row in enumerate(_parquet(file, columns, also) if file.suffix == ".parquet" else _jsonl(file), 1):
                place = f"{file.name}, row {number}"
                if missing := [name for name in columns if name not in row]:
                    raise ValueError(f"{place} has no column {missing[0]!r}; it has {', '.join(sorted(map(str, row))) or 'none'}")
                yield place, row
                num_rows += 1
        except UNREADABLE as error:
            raise ValueError(f"{file} cannot be read ({type(error).__name__}: {error}); get it again") from None
    if not num_rows:
        raise ValueError(f"{location} is empty: it has no row")


def _files(location: str) -> list[Path]:
    if location.startswith(DATASET):
        return [_of_hub(location)]
    files = [Path(file) for file in matching(location)]
    if not files:
        raise ValueError(f"no file matches {location}")
    return files


def _of_hub(location: str) -> Path:
    """From the local cache; else it is fetched, where there is a network."""
    from huggingface_hub import hf_hub_download
    from huggingface_hub.errors import HfHubHTTPError

    parts = location.removeprefix(DATASET).split("/", 2)
    if len(parts) < 3:
        raise ValueError(f"{location} names no file of a dataset; write it as {DATASET}OWNER/NAME[@COMMIT]/FILE")
    owner, (name, _, revision), file = parts[0], parts[1].partition("@"), parts[2]
    try:
        return Path(hf_hub_download(f"{owner}/{name}", file, repo_type="dataset", revision=revision or None))
    except (HfHubHTTPError, OSError) as error:  # what is not in the cache, without a network, is an OSError too
        raise ValueError(
            f"{location} is not in the local hub cache ({type(error).__name__}); get it with: "
            f"hf download --repo-type dataset {owner}/{name} {file}"
        ) from None


def _jsonl(file: Path) -> Iterator[dict[str, Any]]:
    content = file.read_bytes()
    if file.suffix == ".zst":
        content = zstandard.ZstdDecompressor().stream_reader(io.BytesIO(content)).read()
    elif file.suffix == ".gz":
        content = gzip.decompress(content)
    for number, line in enumerate(content.decode().split("\n"), 1):
        if not line.strip():
            continue
        try:
            row = json.loads(line)
        except json.JSONDecodeError as error:
            raise ValueError(f"{file.name}, line {number} is not JSON ({error}); mend the file") from None
        if not isinstance(row, dict):
            raise ValueError(f"{file.name}, line {number} is a {type(row).__name__}, not an object of columns; mend the file")
        yield row


def _parquet(file: Path, columns: Sequence[str], also: Sequence[str]) -> Iterator[dict[str, Any]]:
    """Only the columns that are asked for, and that it has."""
    with parquet.ParquetFile(file) as source:
        names = source.schema_arrow.names
        if lacking := [name for name in columns if name not in names]:
            raise ValueError(f"{file.name} has no column {lacking[0]!r}; it has {', '.join(names)}")
        known = [name for name in names if name in columns or name in also]
        for batch in source.iter_batches(columns=known):
            yield from batch.to_pylist()
