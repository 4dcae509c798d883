"""What the whole road reads: the data folder's pages, and labelled examples that are not among them."""

import gzip
import json
from pathlib import Path

PAGES = ("web/web_open.jsonl.gz", "web/web_thirdparty.jsonl.gz")
GOOD = (
    ("cot/math_train.jsonl.gz", "problem"),
    ("text/hott_book_tex.jsonl.gz", "text"),
    ("text/openstax_prealgebra_cnxml.jsonl.gz", "text"),
)
BAD = (("text/c4_demo.jsonl.gz", "text"), ("cot/instr_alpaca_en_demo.jsonl.gz", "output"))
EXAMPLES_OF_A_FILE = 600
EXAMPLE_CHARS = 4_000


def write_pages(file: Path, data: Path) -> Path:
    """One jsonl file of HTML pages."""
    rows = (json.loads(line) for name in PAGES for line in gzip.open(data / name, "rt", encoding="utf-8"))
    file.parent.mkdir(parents=True, exist_ok=True)
    with gzip.GzipFile(file, "wb", compresslevel=1, mtime=0) as out:
        for row in rows:
            out.write(json.dumps({key: row[key] for key in ("id", "url", "html")}).encode() + b"\n")
    return file


def write_labels(file: Path, data: Path) -> Path:
    """Good: problems and textbooks. Bad: C4 and instructions."""
    rows = [row for label, files in ((1, GOOD), (0, BAD)) for row in _examples(data, files, label)]
    file.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return file


def _examples(data: Path, files: tuple[tuple[str, str], ...], label: int) -> list[dict[str, str | int]]:
    rows: list[dict[str, str | int]] = []
    for name, key in files:
        with gzip.open(data / name, "rt", encoding="utf-8") as lines:
            texts = [
                str(json.loads(line)[key])[:EXAMPLE_CHARS] for line, _ in zip(lines, range(EXAMPLES_OF_A_FILE), strict=False)
            ]
        rows += [{"text": text, "label": label} for text in texts]
    return rows
