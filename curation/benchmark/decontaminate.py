"""Decontamination: our step against datatrove's filter with spaCy's words, on documents with planted items, and on leaks that
people confirmed (peer-tests/ of the data folder).

datatrove's indexer asks for a package that it then cannot use, so its index is made here by the indexer's own function. It
knows the same benchmarks, once as it is by default and once with n-grams of questions.
"""

import gzip
import json
import random
import re
from collections.abc import Iterator
from dataclasses import replace
from functools import partial
from pathlib import Path
from time import process_time
from typing import TYPE_CHECKING, Any

import numpy as np
from datatrove.data import Document

from curation.benchmark.corpus import Corpus
from curation.benchmark.measure import Comparison, Way, Work, compare
from curation.benchmark.size import Size
from recipes.schema import DecontaminateStage

if TYPE_CHECKING:
    from curation.decontaminate.detector import Detector

SEED = 7
STOCK_DOCUMENTS = 400
PLANTED_SHARE = 0.1
GENERATED_ITEMS = 2_000
PROBLEMS = {"gsm8k_train": "cot/gsm8k_train.jsonl.gz", "math_train": "cot/math_train.jsonl.gz"}
NUM_PROBLEMS = 3_000
LEAKS = ("pairs_math500", "human_clex", "human_csem")
DERIVED = ("gsm8k_model_solutions", "gsm8k_test_socratic", "gsm8k_backward")  # of GSM8K's test items
Found = dict[str, set[str]]  # ids of documents, `removed` and `near`


def comparisons(size: Size) -> Iterator[Comparison]:
    from curation.decontaminate.detector import Detector

    files = benchmark_files(size)
    detector = Detector.of(files, _params(files))
    documents = size.or_else(6_000)
    corpus = _write_corpus(size, files, documents)
    few = min(STOCK_DOCUMENTS, documents)
    for find_questions in (False, True):
        index = stock_index(size.scratch / f"datatrove-{find_questions}", files, find_questions)
        compared = compare(
            "decontaminate",
            against="datatrove, n-grams of questions too" if find_questions else "datatrove as it is by default",
            documents=documents,
            ours=Way(ours, (corpus, documents, files, size.scratch)),
            stock=Way(stock, (corpus, few, index, find_questions)),
            stock_documents=few,
            repeats=size.repeats,
            judge=partial(_judge, corpus, documents, few),
        )
        texts = {"": [row["text"] for row in _rows(corpus)[:documents]]}
        with_evidence = compared.ours_seconds / _kilobytes(texts[""]) * 1e6
        if size.data is not None and not find_questions:
            texts |= {f"_{name}": _problems(size.data / file) for name, file in PROBLEMS.items() if (size.data / file).is_file()}
        costs = {f"detector_us_per_kb{name}": _us_per_kb(detector, some, size.repeats) for name, some in texts.items()}
        costs = {name: round(cost, 2) for name, cost in (costs | {"step_with_evidence_us_per_kb": with_evidence}).items()}
        yield replace(compared, quality=compared.quality | costs)
    if size.data is not None and (size.data / "peer-tests").is_dir():
        yield from _leaks(size, size.data)


def benchmark_files(size: Size) -> dict[str, Path]:
    """All benchmark files of the data folder, or one of generated problems."""
    found = sorted((size.data / "benchmarks").glob("*.jsonl.gz")) if size.data else []
    if found:
        return {path.name.removesuffix(".jsonl.gz"): path for path in found}
    path, corpus = size.scratch / "problems.jsonl", Corpus(SEED + 1, None)  # other sentences than the documents have
    rng = random.Random(f"{SEED}/problems")
    rows = []
    for number in range(GENERATED_ITEMS):
        told = " ".join(rng.choice(corpus.sentences) for _ in range(2))
        question = f"{told} With $x = {rng.randint(2, 99)}$ and {rng.randint(100, 999)} of them, how many are left?"
        rows.append({"id": number, "question": question, "answer": str(rng.randint(1, 999))})
    return {"problems": _write(path, rows)}


def _write_corpus(size: Size, files: dict[str, Path], documents: int) -> Path:
    """Documents in a drawn order; a tenth of them with an item planted, in one of the ways of canaries.py. `kind` says
    which; none is one without."""
    from curation.decontaminate.benchmarks import Benchmarks
    from curation.decontaminate.canaries import KINDS, plant

    corpus = Corpus(SEED, size.data)
    texts = [corpus.document(number).text for number in range(documents)]
    parts = [part for part in Benchmarks(files, _params(files)).parts if part.name != "solutions"]
    each = max(int(PLANTED_SHARE * documents) // len(KINDS), 1)
    rows: list[dict[str, Any]] = []
    for kind in KINDS:
        canaries = plant(kind, parts, texts[:: len(KINDS)], each, SEED)
        rows += [{"id": f"{kind}/{i}", "kind": kind, "text": canary.text} for i, canary in enumerate(canaries)]
    rows += [{"id": f"clean/{i}", "kind": None, "text": text} for i, text in enumerate(texts[len(rows) :])]
    random.Random(SEED).shuffle(rows)
    return _write(size.scratch / f"decontaminate-{documents}.jsonl", rows)


def _write(path: Path, rows: list[dict[str, Any]]) -> Path:
    temporary = path.with_name(f".{path.name}.tmp")
    temporary.parent.mkdir(parents=True, exist_ok=True)
    temporary.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return temporary.replace(path)


def _rows(path: Path) -> list[dict[str, Any]]:
    content = gzip.decompress(path.read_bytes()) if path.suffix == ".gz" else path.read_bytes()
    return [json.loads(line) for line in content.splitlines()]


def _documents(corpus: Path, count: int) -> list[Document]:
    return [Document(text=row["text"], id=row["id"]) for row in _rows(corpus)[:count]]


def _params(files: dict[str, Path]) -> DecontaminateStage:
    return DecontaminateStage(do="decontaminate", benchmarks={name: str(path) for name, path in files.items()})


# ------------------------------------------------------------------------------------------------------------ the ways


def ours(corpus: Path, count: int, files: dict[str, Path], scratch: Path) -> Work:
    """The step, with evidence of what it drops on disk. The index is built before."""
    from curation.book import Book
    from curation.decontaminate.step import Decontaminate

    book = Book(scratch / "decontaminate_ours")
    step, docs = Decontaminate(_params(files), files, book), _documents(corpus, count)
    list(step.run(_documents(corpus, min(count, 500))))  # compiles every kernel
    book.close()

    def work() -> Found:
        kept = {doc.id: "near_contamination" in doc.metadata for doc in step.run(docs)}
        book.close()
        return {"removed": {doc.id for doc in docs} - kept.keys(), "near": {id_ for id_, is_near in kept.items() if is_near}}

    return work


def _us_per_kb(detector: "Detector", texts: list[str], repeats: int) -> float:
    """CPU-microseconds of finding alone, in batches as the step's: no documents are made, and no evidence is written."""
    from curation.batches import batches

    docs = [Document(text=text, id="") for text in texts]
    seconds = []
    for _ in range(repeats + 1):  # the first compiles every kernel
        start = process_time()
        for batch in batches(iter(docs)):
            detector.find([doc.text for doc in batch])
        seconds.append(process_time() - start)
    return min(seconds) / _kilobytes(texts) * 1e6


def _problems(file: Path) -> list[str]:
    """Problems with their solutions: texts that are full of evidence."""
    rows = _rows(file)[:NUM_PROBLEMS]
    return ["\n".join(str(row[key]) for key in ("question", "problem", "answer", "solution") if key in row) for row in rows]


def _kilobytes(texts: list[str]) -> float:
    return sum(len(text.encode()) for text in texts) / 1000


def stock(corpus: Path, count: int, index: Path, find_questions: bool) -> Work:
    from datatrove.pipeline.decont.n_grams import NGramsDecontConfig, NGramsDecontFilter

    step = NGramsDecontFilter(str(index), config=NGramsDecontConfig(find_query_ngrams=find_questions))
    docs = _documents(corpus, count)
    step.filter(Document(text="Loads the index, and spaCy.", id="first"))

    def work() -> Found:
        return {"removed": {doc.id for doc in docs if step.filter(doc) is not True}, "near": set()}

    return work


def stock_index(folder: Path, files: dict[str, Path], find_questions: bool) -> Path:
    from datatrove.pipeline.decont.n_grams import NGramsDecontConfig, NGramsDecontIndexer
    from datatrove.utils.hashing import create_hash_func
    from datatrove.utils.typeshelper import Languages
    from datatrove.utils.word_tokenizers import load_word_tokenizer

    from curation.decontaminate.items import read_items

    if folder.is_dir():
        return folder
    indexer = object.__new__(NGramsDecontIndexer)  # its constructor asks for lighteval
    indexer.config = NGramsDecontConfig(find_query_ngrams=find_questions)
    indexer.tokenizer = load_word_tokenizer(Languages.english)
    indexer.hash_func = create_hash_func(indexer.config.hash_config)
    temporary = folder.with_name(f".{folder.name}.tmp")
    temporary.mkdir(parents=True)
    for name, path in files.items():
        hashes = {
            number
            for item in read_items(name, path)
            for number in indexer.compute_hashes(item.answer or item.solution, item.question)
        }
        np.array(sorted(hashes), dtype=indexer.config.hash_config.np_descr).tofile(temporary / f"{name}.index.hashes")
    return temporary.rename(folder)


# ------------------------------------------------------------------------------------------------------------- how good


def _judge(corpus: Path, count: int, few: int, mine: Found, theirs: Found) -> dict[str, Any]:
    rows = _rows(corpus)[:count]
    quality: dict[str, Any] = {}
    for name, removed, among in (("ours", mine["removed"], rows), ("stock", theirs["removed"], rows[:few])):
        clean = [row for row in among if row["kind"] is None]
        quality[f"{name}_clean_removed"] = _share(removed, clean)
        planted = [row for row in among if row["kind"]]
        quality[f"{name}_planted_removed"] = _share(removed, planted)
    for kind in sorted({row["kind"] for row in rows if row["kind"]}):
        of_kind = [row for row in rows if row["kind"] == kind]
        quality[f"{kind}_removed"] = _share(mine["removed"], of_kind)
        quality[f"{kind}_reported"] = _share(mine["removed"] | mine["near"], of_kind)
    return quality


def _share(removed: set[str], rows: list[dict[str, Any]]) -> float | None:
    return round(sum(row["id"] in removed for row in rows) / len(rows), 4) if rows else None


def _leaks(size: Size, data: Path) -> Iterator[Comparison]:
    """Training problems against the items that they leak, beside items without a leak, and against all benchmarks; people
    confirmed those of human_clex. And files made of GSM8K's test items, against GSM8K."""
    pairs = [{**row, "file": name} for name in LEAKS for row in _rows(data / "peer-tests" / f"contamination_{name}.jsonl.gz")]
    items = [{"id": i, "problem": pair["math500_problem"]} for i, pair in enumerate(pairs)]
    leaking = {item["problem"] for item in items}
    clean = [row["problem"] for row in _rows(data / "peer-tests" / "contamination_clean_math500.jsonl.gz")]
    clean = [problem for problem in clean if problem not in leaking]  # of one project, leaked by another
    files = {"leaked": _write(size.scratch / "leaked.jsonl", items)}
    leaked = [{"id": f"{pair['file']}/{i}", "text": pair["train_problem"]} for i, pair in enumerate(pairs)]
    beside = [{"id": f"clean/{i}", "text": text} for i, text in enumerate(clean)]
    yield _compare_leaks(size, files, [*leaked, *beside], "leaks, against what they leak")
    yield _compare_leaks(size, benchmark_files(size), leaked, "leaks, against all benchmarks")
    files = {"gsm8k_test": data / "benchmarks" / "gsm8k_test.jsonl.gz"}
    names = [name for name in (*DERIVED, "gsm8k_train") if (data / "cot" / f"{name}.jsonl.gz").is_file()]
    derived = [(name, row) for name in names for row in _rows(data / "cot" / f"{name}.jsonl.gz")[:300]]
    rows = [{"id": f"{name}/{i}", "text": row["question"]} for i, (name, row) in enumerate(derived)]
    yield _compare_leaks(size, files, rows, "files of GSM8K")


def _compare_leaks(size: Size, files: dict[str, Path], rows: list[dict[str, Any]], what: str) -> Comparison:
    """The part of an id before its slash is what the row is of."""
    name = re.sub(r"\W+", "_", what)
    corpus = _write(size.scratch / f"{name}.jsonl", rows)
    index = stock_index(size.scratch / f"datatrove-{name}", files, True)

    def judge(mine: Found, theirs: Found) -> dict[str, Any]:
        quality: dict[str, Any] = {}
        for kind in dict.fromkeys(row["id"].split("/")[0] for row in rows):
            of_kind = [row for row in rows if row["id"].split("/")[0] == kind]
            quality[f"{kind}_removed"] = _share(mine["removed"], of_kind)
            quality[f"{kind}_reported"] = _share(mine["removed"] | mine["near"], of_kind)
            quality[f"{kind}_stock_removed"] = _share(theirs["removed"], of_kind)
        return quality

    return compare(
        "decontaminate",
        against=f"datatrove, n-grams of questions too, on {what}",
        documents=len(rows),
        ours=Way(ours, (corpus, len(rows), files, size.scratch)),
        stock=Way(stock, (corpus, len(rows), index, True)),
        repeats=1,
        judge=judge,
    )
