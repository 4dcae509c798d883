"""Filtering: our two stages against datatrove's Gopher, C4 and FineWeb filters with spaCy's words; the same rules compiled,
decision by decision; and how much mathematics either way keeps of labelled pages."""

import csv
import gzip
import json
import shutil
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any

from datatrove.data import Document

from curation.benchmark.corpus import write_corpus
from curation.benchmark.measure import Comparison, Way, Work, compare
from curation.benchmark.size import Size

SEED = 3
STOCK_SHARE = 10  # stock does a tenth of the documents: they cost it milliseconds each
QUALITY = ("length", "boilerplate", "words", "repetition")  # ours for Gopher's, C4's and FineWeb's rules
PAGE = ("url", "length", "language", "boilerplate", "words", "repetition")  # recipes/filters/math_web.yaml
GOOD = 3  # of a page's label from 0 to 5
Answers = dict[str, Any]


def comparisons(size: Size) -> Iterator[Comparison]:
    documents = size.or_else(6_000)
    corpus = write_corpus(size.scratch / f"filter_{documents}", documents, seed=SEED, data=size.data)
    few = max(documents // STOCK_SHARE, 1)
    yield compare(
        "filter",
        against="datatrove Gopher repetition + Gopher quality + C4 + FineWeb, spaCy words",
        documents=documents,
        ours=Way(ours, (corpus, documents, size.scratch)),
        stock=Way(stock, (corpus, few)),
        stock_documents=few,
        repeats=size.repeats,
        judge=lambda mine, other: {"kept": mine / documents, "stock_kept": other / few},
    )
    documents = max(documents // 4, 1)
    yield compare(
        "filter",
        against="the same four with regex words, their rules compiled",
        documents=documents,
        ours=Way(compiled, (corpus, documents)),
        stock=Way(interpreted, (corpus, documents)),
        repeats=size.repeats,
        judge=_equal,
    )
    if size.data is not None and (size.data / "labelled" / "web_math_labels.tsv").is_file():
        pages = write_labelled(size.scratch / "labelled.jsonl", size.data)
        yield compare(
            "filter",
            against="the same four with regex words on labelled pages, ours with URLs and language",
            documents=pages,
            ours=Way(our_page, (size.scratch / "labelled.jsonl",)),
            stock=Way(stock_page, (size.scratch / "labelled.jsonl",)),
            repeats=1,
            judge=partial(_mathematics, file=size.scratch / "labelled.jsonl"),
        )


# ---------------------------------------------------------------------------------------------------- how fast


def ours(corpus: Path, documents: int, scratch: Path) -> Work:
    """Both stages: columns to disk, then decisions, metadata, and dropped documents on record."""
    from curation.book import Book
    from curation.filters.steps import DropByFeatures, WriteFeatures

    folder = scratch / "filter_ours"
    docs = _read(corpus, documents)

    def work(given: list[Document]) -> int:
        shutil.rmtree(folder, ignore_errors=True)
        book, filters = Book(folder), _filters(QUALITY)
        for _ in WriteFeatures(filters, book).run(iter(given)):
            pass
        num_kept = sum(1 for _ in DropByFeatures(filters, folder, book).run(iter(given)))
        book.close()
        return num_kept

    work(docs[:10])
    return partial(work, docs)


def stock(corpus: Path, documents: int) -> Work:
    """As in a pipeline: a filter sees what the one before has kept."""
    return _chain(corpus, documents)


def compiled(corpus: Path, documents: int) -> Work:
    from curation.benchmark.stock_rules import decide

    texts = [doc.text for doc in _read(corpus, documents)]
    decide(texts[:10])

    def work() -> Answers:
        rules: dict[str, list[str]] = {}
        for first in range(0, len(texts), 500):
            for name, answers in decide(texts[first : first + 500]).items():
                rules.setdefault(name, []).extend(answers)
        return {"rules": rules, "is_ascii": [text.isascii() for text in texts]}

    return work


def interpreted(corpus: Path, documents: int) -> Work:
    from curation.benchmark.stock_rules import RegexWords, stock_decision, stock_filters

    texts = [doc.text for doc in _read(corpus, documents)]
    filters = stock_filters(language=RegexWords())
    return lambda: {name: [stock_decision(step, text) for text in texts] for name, step in filters.items()}


def _chain(corpus: Path, documents: int) -> Work:
    from curation.benchmark.stock_rules import stock_decision, stock_filters

    texts = [doc.text for doc in _read(corpus, documents)]
    filters = list(stock_filters().values())
    for step in filters:
        stock_decision(step, texts[0])  # spaCy is loaded by its first text
    return lambda: sum(all(not stock_decision(step, text) for step in filters) for text in texts)


def _equal(mine: Answers, other: Answers) -> dict[str, float]:
    """Shares of equal decisions, with the rule that decided, over ASCII documents and over all."""
    quality: dict[str, float] = {"ascii": sum(mine["is_ascii"])}
    for name, rules in mine["rules"].items():
        same = [a == b for a, b in zip(rules, other[name], strict=True)]
        of_ascii = [equal for equal, is_ascii in zip(same, mine["is_ascii"], strict=True) if is_ascii]
        quality[f"equal_{name}_ascii"] = sum(of_ascii) / max(len(of_ascii), 1)
        quality[f"equal_{name}"] = sum(same) / max(len(same), 1)
    return quality


def _read(corpus: Path, documents: int) -> list[Document]:
    from curation.shards import read_shard

    found = [doc for shard in sorted((corpus / "documents").glob("*.parquet")) for doc in read_shard(shard)]
    return sorted(found, key=lambda doc: str(doc.id))[:documents]


def _filters(names: tuple[str, ...]) -> list[Any]:
    from curation.filters import FILTERS
    from recipes.schema import FILTER_PARAMETERS

    return [FILTERS[name](FILTER_PARAMETERS[name]()) for name in names]


# ---------------------------------------------------------------------------------------------------- what is kept


def write_labelled(file: Path, data: Path) -> int:
    """Extracts the labelled pages. `label` is the quality from 0 to 5, None where only the site is known to be mathematics or
    not (`is_math`)."""
    from curation.extract.page import extract

    labels: dict[str, dict[str, Any]] = {}
    for name in ("web_weak_labels", "web_math_labels"):
        with open(data / "labelled" / f"{name}.tsv", encoding="utf-8", newline="") as lines:
            for row in csv.DictReader(lines, delimiter="\t"):
                weak = row.get("weak_label")
                is_math = row["is_math"] == "1" if weak is None else weak == "math"
                label = None if weak is not None else int(row["math_quality_0_5"])
                if weak != "mixed":
                    labels[row["html_id"]] = {"label": label, "is_math": is_math}
    num = 0
    with open(file, "w", encoding="utf-8") as out:
        for source in ("web_open", "web_thirdparty"):
            for line in gzip.open(data / "web" / f"{source}.jsonl.gz", "rt", encoding="utf-8"):
                page = json.loads(line)
                if page["id"] in labels and (text := extract(page["html"]).text.strip()):
                    out.write(json.dumps({"text": text, "url": page["url"], **labels[page["id"]]}) + "\n")
                    num += 1
    return num


def our_page(file: Path) -> Work:
    """The rule that drops each page, "" for none."""
    from curation.filters.batch import Batch

    docs = [Document(text=row["text"], id=str(i), metadata={"url": row["url"]}) for i, row in enumerate(_rows(file))]
    filters = _filters(PAGE)

    def work() -> list[str]:
        rules, batch = [""] * len(docs), Batch(docs)
        for step in filters:
            names, broken = step.broken(step.measure(batch))
            rules = [rule or (f"{step.name}/{names[k]}" if k >= 0 else "") for rule, k in zip(rules, broken, strict=True)]
        return rules

    work()
    return work


def stock_page(file: Path) -> Work:
    from curation.benchmark.stock_rules import RegexWords, stock_decision, stock_filters

    texts = [row["text"] for row in _rows(file)]
    filters = list(stock_filters(language=RegexWords()).values())
    return lambda: [next((rule for step in filters if (rule := stock_decision(step, text))), "") for text in texts]


def _mathematics(mine: list[str], other: list[str], file: Path) -> dict[str, float]:
    rows = _rows(file)
    groups = {
        "good": [row["label"] is not None and row["label"] >= GOOD for row in rows],
        "bad": [row["label"] == 0 for row in rows],
        "math_sites": [row["label"] is None and row["is_math"] for row in rows],
        "other_sites": [row["label"] is None and not row["is_math"] for row in rows],
    }
    quality: dict[str, float] = {}
    for name, members in groups.items():
        quality[name] = sum(members)
        for way, rules in (("ours", mine), ("stock", other)):
            kept = sum(not rule for rule, is_member in zip(rules, members, strict=True) if is_member)
            quality[f"{name}_kept_{way}"] = kept / max(sum(members), 1)
    return quality


def _rows(file: Path) -> list[dict[str, Any]]:
    with open(file, encoding="utf-8") as lines:
        return [json.loads(line) for line in lines]
