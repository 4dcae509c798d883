"""What the whole road reads: the data folder's pages, else made ones, and labelled examples that are not among them."""

import gzip
import json
import random
from collections.abc import Iterator
from itertools import count as count_up
from itertools import islice
from pathlib import Path

from curation.sample.chrome import page_html
from curation.sample.grammar import load_grammar
from curation.sample.markup import MARKUPS
from curation.sample.pages import KINDS_OF_PAGES, Page, write_page

PAGES = ("web/web_open.jsonl.gz", "web/web_thirdparty.jsonl.gz")
GOOD = (
    ("cot/math_train.jsonl.gz", "problem"),
    ("text/hott_book_tex.jsonl.gz", "text"),
    ("text/openstax_prealgebra_cnxml.jsonl.gz", "text"),
)
BAD = (("text/c4_demo.jsonl.gz", "text"), ("cot/instr_alpaca_en_demo.jsonl.gz", "output"))
EXAMPLES_OF_A_FILE = 600
EXAMPLE_CHARS = 4_000
MADE_EXAMPLES = 2_000
_MARKUPS = [name for name in MARKUPS if name != "none"]


def write_pages(file: Path, data: Path | None, count: int | None) -> Path:
    """One jsonl file of HTML pages, `count` made ones or of the data folder as many at most (None: all)."""
    file.parent.mkdir(parents=True, exist_ok=True)
    with gzip.GzipFile(file, "wb", compresslevel=1, mtime=0) as out:
        for row in islice(_real_pages(data) if data else _made_pages(), count):
            out.write(json.dumps(row).encode() + b"\n")
    return file


def _real_pages(data: Path) -> Iterator[dict[str, str]]:
    for name in PAGES:
        with gzip.open(data / name, "rt", encoding="utf-8") as lines:
            for row in map(json.loads, lines):
                yield {key: row[key] for key in ("id", "url", "html")}


def _made_pages() -> Iterator[dict[str, str]]:
    grammar = load_grammar()
    for number in count_up():
        rng = random.Random(f"road/{number}")
        html = page_html(_made_page(rng), rng.choice(_MARKUPS), grammar, rng)
        yield {"id": f"made{number:07d}", "url": f"https://site{number % 97}.org/{number}", "html": html}


def _made_page(rng: random.Random) -> Page:
    """Of a kind as often as the sample's crawl has it."""
    [kind] = rng.choices(list(KINDS_OF_PAGES), [share for share, _ in KINDS_OF_PAGES.values()])
    return write_page(kind, load_grammar(), rng)


def write_labels(file: Path, data: Path | None) -> Path:
    """Good: problems and textbooks. Bad: C4 and instructions. Without the data folder: made pages, other than those of the road;
    good are those of mathematics."""
    if data:
        rows = [row for label, files in ((1, GOOD), (0, BAD)) for row in _examples(data, files, label)]
    else:
        pages = (_made_page(random.Random(f"labels/{number}")) for number in range(MADE_EXAMPLES))
        rows = [{"text": page.text[:EXAMPLE_CHARS], "label": int(page.kind.startswith("math"))} for page in pages]
    file.parent.mkdir(parents=True, exist_ok=True)
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
