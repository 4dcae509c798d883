"""Draws paths from each question's graph (walks.py) and writes them as documents, within the page's limits of tokens.

A path on which a step uses a number that its traces had before it and the path has not is dropped. Special tokens stand in a text
where this stage put them and nowhere else: what spells one in a question, an answer or a step is dropped, so that the tokenize
stage of such a page may take each for its id.
"""

import re
from collections.abc import Iterator
from pathlib import Path

from datatrove.data import Document, DocumentsPipeline
from datatrove.pipeline.base import PipelineStep

from curation.book import Book
from curation.format import special_tokens
from curation.paths.graph import Graph, defect
from curation.paths.walks import Walk, Walks, is_grounded
from curation.paths.written import Written, write
from curation.sampling.asked import question_of
from curation.tokens.tokenizer import open_tokenizer
from recipes.schema import SamplePathsStage, TokenizeStage


class SamplePaths(PipelineStep):
    """`tokenizer` is the folder of the one that lengths are counted by."""

    type = "PATHS"
    name = "paths"

    def __init__(self, params: SamplePathsStage, tokenizer: Path, seed: int, book: Book):
        super().__init__()
        self.params = params
        self.tokenizer = tokenizer
        self.seed = seed
        self.book = book
        ours = "|".join(map(re.escape, params.special_tokens.values()))
        self._forbidden = re.compile(f"{special_tokens().pattern}|{ours}" if ours else special_tokens().pattern)

    def run(self, data: DocumentsPipeline, rank: int = 0, world_size: int = 1) -> Iterator[Document]:  # type: ignore[override]
        for doc in data or ():
            graph = _graph_of(doc)
            answer = str(doc.metadata["expected_answer"])
            walks = Walks(graph, self.params.max_backtracks)
            possible = [walks.num(backtracks) for backtracks in range(self.params.max_backtracks + 1)]
            self.book.count("questions_by_paths", _size(sum(possible)))
            drawn = walks.draw(self.params.paths_per_question, f"{self.seed}/{doc.id}")
            grounded = [is_grounded(graph, walk) for _, walk in drawn]
            contents = [[question_of(doc), answer, *(graph.texts[move.node] for move in walk)] for _, walk in drawn]
            written = [write(graph, walk, question_of(doc), answer, self.params) for _, walk in drawn]
            reasons = self._reasons(written, [any(map(self._forbidden.search, texts)) for texts in contents])
            for number, ((backtracks, walk), made) in enumerate(zip(drawn, written, strict=True)):
                path = self._document(doc, made.text, number, backtracks, walk, possible)
                reason = reasons[number] or ("" if grounded[number] else "number_from_nowhere")
                if reason:
                    self.book.drop(path, "sample_paths", reason)
                    continue
                self.book.count("paths", "0" if not backtracks else str(backtracks))
                yield path

    def _document(self, doc: Document, text: str, number: int, backtracks: int, walk: Walk, possible: list[int]) -> Document:
        """`path`: nodes of the graph as they are visited; `steps_back`: places in it that are a step back to its node."""
        kept = {key: value for key, value in doc.metadata.items() if key != "graph"}
        told = {
            "question_id": doc.id,
            "path": [move.node for move in walk],
            "steps_back": [place for place, move in enumerate(walk) if move.is_back],
            "backtracks": backtracks,
            "possible_paths": [str(number) for number in possible],  # by backtracks; they may have hundreds of digits
        }
        return Document(text=text, id=f"{doc.id}/{number}", metadata={**kept, **told})

    def _reasons(self, written: list[Written], spells_token: list[bool]) -> list[str]:
        """Why each is not taken, "" for those that are."""
        if not written:
            return []
        tokens = tuple(self.params.special_tokens.values())
        opened = open_tokenizer(self.tokenizer, TokenizeStage(do="tokenize", end_of_text=False), tokens)
        lengths = opened.encode([text for made in written for text in (made.reasoning, made.text)]).lengths.tolist()
        reasons = []
        seen: set[str] = set()
        for made, is_spelt, reasoning, total in zip(written, spells_token, lengths[::2], lengths[1::2], strict=True):
            reason = "special_token" if is_spelt else "same_text" if made.text in seen else ""
            reason = reason or ("long_reasoning" if reasoning >= self.params.max_reasoning_tokens else "")
            reasons.append(reason or ("too_long" if total >= self.params.max_tokens else ""))
            seen.add(made.text)
        return reasons


def _graph_of(doc: Document) -> Graph:
    if "graph" not in doc.metadata or not doc.metadata.get("expected_answer"):
        raise ValueError(f"document {doc.id!r} has no graph in its metadata; put sample_paths behind build_graphs")
    graph = Graph.of_metadata(doc.metadata["graph"])
    reason = defect(graph)
    if reason:
        raise ValueError(f"document {doc.id!r} has a graph that is none ({reason}); make the build_graphs stage again")
    return graph


def _size(number: int) -> str:
    """The power of ten that it is below, as reports show it."""
    return f"< 1e{len(str(number))}"
