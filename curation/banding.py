"""What two folders of signatures must share to be compared (curation/dedup): how their bands were made, and how texts are hashed.

Plans ask this of an index before anything runs: no datatrove here.
"""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

HASHES = 4  # how texts, words, shingles and addresses are hashed and signed: raise it with a change, older indexes are compared
BANDED_BY = ("ngram", "num_bands", "rows_per_band", "url", "seed")  # of a dedup stage and its page
METADATA = b"banding"  # of a file of bands


def banding(params: Mapping[str, Any]) -> dict[str, int]:
    return {"hashes": HASHES, **{key: int(params[key]) for key in BANDED_BY}}


def band_files(folder: Path) -> list[Path]:
    return sorted((folder / "bands").glob("[0-9]*.parquet"))


def read_banding(folder: Path) -> dict[str, int]:
    """Of a folder of signatures; empty if it is none."""
    import pyarrow.parquet as pq  # most plans name no such folder

    metadata = pq.read_schema(files[0]).metadata if (files := band_files(folder)) else None
    found: dict[str, int] = json.loads((metadata or {}).get(METADATA, "{}"))
    return found
