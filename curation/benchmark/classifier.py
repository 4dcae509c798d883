"""The classifier: ours against fastText's own predict, on one model, and against MegaMath's way on pages with weak labels.

The compiled reader's peak memory counts the pages of the mapped model that it has touched; all workers share them, while fastText
copies the model into each.
"""

import gzip
import json
import re
import unicodedata
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

from curation.benchmark.corpus import Corpus
from curation.benchmark.measure import Comparison, Way, Work, compare
from curation.benchmark.size import Size
from recipes.schema import TrainClassifierStage

SEED = 1
NUM_TRAINED_ON = 1_500
MAX_EXAMPLE_CHARS = 4_000
# (file, field, label) of the texts that the second model learns from: none of them became a page of web/
SOURCES = (
    ("cot/math_train", "solution", 1),
    ("text/hott_book_tex", "text", 1),
    ("text/aata_pretext_xml", "text", 1),
    ("text/openstax_prealgebra_cnxml", "text", 1),
    ("text/c4_demo", "text", 0),
    ("cot/instr_alpaca_en_demo", "output", 0),
    ("cot/instr_gpteacher_toolformer", "response", 0),
    ("cot/instr_gpteacher_codegen", "response", 0),
)
MAX_ROWS = 1_000  # of a source
TOKEN = re.compile(r"\\[a-z]+|[^\W_]+(?:['’][^\W_]+)*|[^\w\s!\"#$%&'(),.:;?@\[\]\\`{}~‘’“”–—…•·«»\u200b\ufeff\ufffd]")


def comparisons(size: Size) -> Iterator[Comparison]:
    documents = size.or_else(3_000)
    model, of_corpus = _model_of_corpus(size), (documents, size.data)
    for against, stock in (("fastText predict, a line at a time", predict_each), ("fastText predict of a list", predict_list)):
        yield compare(
            "classifier",
            against=against,
            documents=documents,
            ours=Way(predict_compiled, (model, *of_corpus)),
            stock=Way(stock, (model, *of_corpus)),
            repeats=size.repeats,
            judge=lambda mine, other: {"max_difference": max(abs(a - b) for a, b in zip(mine, other, strict=True))},
        )
    if size.data is None:
        return
    pages, models = _pages(size.scratch / "classifier", size.data), _models_of_examples(size.scratch / "classifier", size.data)
    yield compare(
        "classifier",
        against="MegaMath's words, then fastText predict",
        documents=len(_rows(pages)),
        ours=Way(score_pages, (models[0], pages)),
        stock=Way(score_pages_as_megamath, (models[1], pages)),
        repeats=size.repeats,
        judge=lambda mine, other: _quality([row["label"] for row in _rows(pages)], mine, other),
    )


def _quality(labels: list[int], mine: list[float], other: list[float]) -> dict[str, Any]:
    from curation.classifier.metrics import average_precision, threshold_for_recall

    chosen = [threshold_for_recall(labels, scores, 0.95) or {} for scores in (mine, other)]
    return {
        "average_precision": average_precision(labels, mine),
        "stock_average_precision": average_precision(labels, other),
        "precision_at_recall_0.95": chosen[0].get("precision"),
        "stock_precision_at_recall_0.95": chosen[1].get("precision"),
    }


# ---------------------------------------------------------------------------------------------------- one model, two readers


def predict_compiled(model: Path, documents: int, data: Path | None) -> Work:
    from curation.classifier import load_model

    opened, lines = load_model(model), _lines(documents, data)
    opened.predict(lines)
    return lambda: _positive(*opened.predict(lines, k=2))


def predict_each(model: Path, documents: int, data: Path | None) -> Work:
    import fasttext

    opened, lines = fasttext.load_model(str(model)), _lines(documents, data)

    def work() -> list[float]:
        answers = [opened.predict(line, k=2) for line in lines]
        return _positive([labels for labels, _ in answers], [values for _, values in answers])

    return work


def predict_list(model: Path, documents: int, data: Path | None) -> Work:
    import fasttext

    opened, lines = fasttext.load_model(str(model)), _lines(documents, data)
    return lambda: _positive(*opened.predict(lines, k=2))


def _positive(labels: Sequence[Sequence[str]], values: Sequence[Any]) -> list[float]:
    return [float(value[list(names).index("__label__1")]) for names, value in zip(labels, values, strict=True)]


def _lines(documents: int, data: Path | None) -> list[str]:
    from curation.classifier.text import normalize_all

    corpus = Corpus(SEED, data)
    return normalize_all([corpus.document(number).text for number in range(documents)]).decode()


def _model_of_corpus(size: Size) -> Path:
    """Tells the documents with more dollar signs from the others: 2 million buckets, which do not fit into any cache."""
    folder = size.scratch / "classifier" / "corpus"
    corpus = Corpus(SEED, size.data)
    texts = [corpus.document(number).text for number in range(NUM_TRAINED_ON)]
    middle = sorted(text.count("$") for text in texts)[len(texts) // 2]
    examples = _write(folder / "examples.jsonl", [{"text": text, "label": int(text.count("$") > middle)} for text in texts])
    return _train(examples, folder, dim=64, learning_rate=0.5, epochs=2)


# ---------------------------------------------------------------------------------------------------- two ways, weak labels


def score_pages(model: Path, pages: Path) -> Work:
    from curation.classifier import load_model, score

    opened, texts = load_model(model), [row["text"] for row in _rows(pages)]
    score(opened, texts[:10])
    return lambda: score(opened, texts)


def score_pages_as_megamath(model: Path, pages: Path) -> Work:
    import fasttext

    opened, texts = fasttext.load_model(str(model)), [row["text"] for row in _rows(pages)]

    def work() -> list[float]:
        answers = [opened.predict(megamath_words(text), k=2) for text in texts]
        return [dict(zip(labels, values, strict=True)).get("__label__1", 0.0) for labels, values in answers]

    return work


def megamath_words(text: str) -> str:
    """What MegaMath's preprocessing leaves (its text_classifier): words and runs of signs apart, numbers as one word, no sign."""
    words = []
    for word in re.findall(r"\w+|[^\w\s]+", unicodedata.normalize("NFKC", text).lower()):
        if word.isdigit():
            words.append("<NUM>")
        elif len(word) <= 100:
            words.append(word)
    line = re.sub(r"[^a-zA-Z0-9\s<>]", "", re.sub(r"[-_]+", " ", " ".join(words)))
    return " ".join(line.encode("ascii", "ignore").decode().split())


def normalize_by_regular_expression(text: str) -> str:
    """`curation.classifier.normalize`, written the short and slow way."""
    if not text.isascii():
        text = unicodedata.normalize("NFKC", text)
    return " ".join(word for word in TOKEN.findall(text.lower().encode("utf-8", "ignore").decode()) if len(word) <= 30)


def _models_of_examples(folder: Path, data: Path) -> tuple[Path, Path]:
    """Ours, and one of the same examples with MegaMath's words."""
    rows = [
        {"text": text[:MAX_EXAMPLE_CHARS], "label": label}
        for name, field, label in SOURCES
        for text in [row[field] for row in _rows(data / f"{name}.jsonl.gz")][:MAX_ROWS]
    ]
    options = {"dim": 32, "learning_rate": 0.5, "epochs": 10, "buckets": 200_000, "balance": True}
    made = []
    for name, prepare in (("ours", str), ("megamath", megamath_words)):
        prepared: Callable[[str], str] = prepare
        examples = _write(folder / name / "examples.jsonl", [row | {"text": prepared(row["text"])} for row in rows])
        made.append(_train(examples, folder / name, **options))
    return made[0], made[1]


def _pages(folder: Path, data: Path) -> Path:
    """The labelled pages, extracted; those that are half mathematics are left out."""
    from curation.extract.page import extract

    with open(data / "labelled" / "web_weak_labels.tsv", encoding="utf-8") as table:
        columns = [line.rstrip("\n").split("\t") for line in table][1:]
    labels = {row[0]: int(row[2] == "math") for row in columns if row[2] in ("math", "nonmath")}
    found = [row for name in ("web_open", "web_thirdparty") for row in _rows(data / "web" / f"{name}.jsonl.gz")]
    pages = [{"text": extract(row["html"]).text, "label": labels[row["id"]]} for row in found if row["id"] in labels]
    return _write(folder / "pages.jsonl", pages)


def _train(examples: Path, out: Path, **options: Any) -> Path:
    from curation.classifier import train

    params = TrainClassifierStage.model_validate({"do": "train_classifier", "examples": "", **options})
    train(params, [examples], out, seed=SEED)
    return out / params.file_name


def _rows(path: Path) -> list[dict[str, Any]]:
    with gzip.open(path, "rt", encoding="utf-8") if path.suffix == ".gz" else open(path, encoding="utf-8") as lines:
        return [json.loads(line) for line in lines]


def _write(path: Path, rows: list[dict[str, Any]]) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows), encoding="utf-8")
    return path
