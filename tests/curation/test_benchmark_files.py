"""Files of benchmarks, packed or not, with the keys that each has of its own."""

import gzip
import json
from pathlib import Path

import zstandard

from curation.decontaminate.benchmarks import read_items


def test_gzip_zstd_and_the_keys_of_real_benchmarks_are_read(tmp_path: Path) -> None:
    rows = [
        {"Body": "There are 87 oranges.", "Question": "How many are left?", "ID": "chal-7"},
        {"input": "Joan found 70 shells.", "target": float("nan"), "idx": 3},
        {"problem": "P", "question": "Q", "solution": "S"},
        {"prompt": "Write.", "question": None},
    ]
    content = "".join(json.dumps(row) + "\n\n" for row in rows).encode()
    (tmp_path / "a.jsonl.gz").write_bytes(gzip.compress(content, mtime=0))
    (tmp_path / "a.jsonl.zst").write_bytes(zstandard.ZstdCompressor().compress(content))
    for name in ("a.jsonl.gz", "a.jsonl.zst"):
        items = [(item.name, item.question) for item in read_items("a", tmp_path / name)]
        assert items == [
            ("chal-7", "There are 87 oranges. How many are left?"),
            ("3", "Joan found 70 shells."),
            ("line 5", "Q"),
            ("line 7", "Write."),
        ]
