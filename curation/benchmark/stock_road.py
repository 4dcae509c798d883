"""The same road from datatrove's blocks: one function a stage, over the very documents that our stage read.

Extraction is trafilatura's, as datatrove's block calls it; words are spaCy's, as its blocks take them. Where a block asks the
network (language model) it is given the local file. Every function returns the ids that it keeps.
"""

import os
import shutil
from collections.abc import Callable, Iterator
from itertools import chain
from pathlib import Path
from typing import Any

from datatrove.data import Document

from curation.benchmark.measure import Work
from curation.steps import DOCUMENTS

NUM_DOCUMENTS = 1_200  # they cost it 25 ms each, whatever their number
Decide = Callable[[Document], bool]


def documents(folder: Path) -> Iterator[Document]:
    """The first of what a stage wrote, as datatrove reads it, which only warns of files that it cannot read."""
    found = _reader(folder).run(None, 0, 1)
    first = next(found, None)
    if first is None:
        raise ValueError(f"datatrove finds no document in {folder}")
    yield from chain([first], found)


def _reader(folder: Path) -> Any:
    from datatrove.pipeline.readers import ParquetReader

    return ParquetReader(str(folder / DOCUMENTS), glob_pattern="*.parquet", limit=NUM_DOCUMENTS)


def extract(files: dict[str, str], min_chars: int) -> Work:
    """`files`: format (warc, jsonl) by path."""
    from datatrove.pipeline.readers import JsonlReader, WarcReader
    from trafilatura import extract as trafilatura

    def pages() -> Iterator[Document]:
        """The first pages."""
        for path, kind in files.items():
            folder, name = os.path.split(path)
            if kind == "warc":
                yield from WarcReader(folder, glob_pattern=name, limit=NUM_DOCUMENTS).run(None, 0, 1)
            else:
                yield from JsonlReader(folder, glob_pattern=name, text_key="html", limit=NUM_DOCUMENTS).run(None, 0, 1)

    def text(html: str) -> str:
        return trafilatura(html, favor_precision=True, include_comments=False, deduplicate=True) or ""

    text("<html><body><p>so that it is loaded</p></body></html>")
    return lambda: [doc.id for doc in pages() if len(text(doc.text)) >= min_chars]


def keep(folder: Path, prepare: Callable[..., Decide], *arguments: Any) -> Work:
    """A filter over a stage's documents."""
    decide = prepare(*arguments)
    decide(Document(text="So that spaCy is loaded before the clock runs.", id=""))
    return lambda: [doc.id for doc in documents(folder) if decide(doc)]


def quality(language_model: Path) -> Decide:
    """Language by fastText, then Gopher's, C4's and FineWeb's rules."""
    from fasttext.FastText import _FastText

    from curation.benchmark.stock_rules import stock_filters

    model = _FastText(str(language_model))
    filters = list(stock_filters().values())

    def is_kept(doc: Document) -> bool:
        [labels, scores] = model.predict([doc.text.replace("\n", " ")])
        # no rule ends the others: the documents that they see are those that ours see
        decisions = [labels[0][0] == "__label__en" and scores[0][0] >= 0.65]
        decisions += [step.filter(Document(text=doc.text, id=doc.id)) is True for step in filters]
        return all(decisions)

    return is_kept


def math_score(model: Path, min_score: float) -> Decide:
    from datatrove.pipeline.filters import FastTextClassifierFilter
    from fasttext.FastText import _FastText

    FastTextClassifierFilter._requires_dependencies = []  # it asks for fastText by the name of another build
    step = FastTextClassifierFilter(str(model), keep_labels=("1", min_score), newline_replacement=" ")
    step._model = _Lists(_FastText(str(model)))
    return lambda doc: bool(step.filter(doc))


class _Lists:
    """fastText whose `predict` of one string works with NumPy 2."""

    def __init__(self, model: Any):
        self.model = model

    def predict(self, text: str, k: int) -> tuple[Any, Any]:
        labels, scores = self.model.predict([text], k=k)
        return labels[0], scores[0]


def uncontaminated(files: dict[str, Path], scratch: Path) -> Decide:
    """With n-grams of questions: its default compares answers only."""
    from datatrove.pipeline.decont.n_grams import NGramsDecontConfig, NGramsDecontFilter

    from curation.benchmark.decontaminate import stock_index

    index = stock_index(scratch / "contamination", files, find_questions=True)
    step = NGramsDecontFilter(str(index), config=NGramsDecontConfig(find_query_ngrams=True))
    return lambda doc: step.filter(doc) is True


def dedup(folder: Path, scratch: Path) -> Work:
    from datatrove.pipeline.readers import JsonlReader
    from datatrove.pipeline.writers import JsonlWriter

    from curation.benchmark.stock_minhash import four_stages

    shutil.rmtree(scratch, ignore_errors=True)
    kept = str(scratch / "kept")
    run = four_stages(_reader(folder), JsonlWriter(kept, compression=None), scratch, tasks=1)

    def work() -> list[str]:
        run()
        return [doc.id for doc in JsonlReader(kept).run(None, 0, 1)]

    return work


def tokenize(folder: Path, tokenizer: Path, scratch: Path) -> Work:
    """`tokenizer`: a tokenizer.json with END_OF_TEXT."""
    from datatrove.pipeline.tokens import MegatronDocumentTokenizer

    from curation.tokens.llama3_tokenizer import END_OF_TEXT

    shutil.rmtree(scratch, ignore_errors=True)
    step = MegatronDocumentTokenizer(
        output_folder=str(scratch / "tokens"),
        tokenizer_name_or_path=str(tokenizer),
        eos_token=END_OF_TEXT,
        save_filename="stock",
        batch_size=1_000,
    )
    assert step.tokenizer is not None  # loaded here

    def work() -> list[str]:
        docs = list(documents(folder))
        step.run(iter(docs))
        return [doc.id for doc in docs]

    return work
