"""Several answers of a language model about each document, many documents at a time, in the documents' order."""

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import groupby
from pathlib import Path

from datatrove.data import Document

from curation.language_model.answers import Answer
from curation.language_model.chat import Question
from curation.language_model.client import Client
from curation.language_model.prompt import fill, read_prompt
from recipes.schema import Endpoint

Asked = tuple[int, Document, Question]  # the document's place in the shard: ids may come twice


@dataclass(frozen=True)
class Sampler:
    """What is asked, how often, and where the answers lie. Sample i has seed `seed` + i: more samples ask for the new ones
    alone."""

    endpoint: Endpoint
    prompt: Path
    answers: Path
    seed: int
    samples: int
    temperature: float
    max_tokens: int
    top_p: float = 1.0

    def client(self, rank: int, num_ranks: int) -> Client:
        """To be closed."""
        return Client(self.endpoint, self.answers, rank, num_ranks)

    def ask(self, client: Client, told: Iterator[tuple[Document, str]]) -> Iterator[tuple[Document, list[Answer]]]:
        """Documents with the answers to what is told of each; a prompt that cannot be used is an error here."""
        answered = client.map(lambda asked: client.ask(asked[2]), self._questions(read_prompt(self.prompt), told))
        for _, group in groupby(answered, key=lambda entry: entry[0][0]):
            entries = list(group)
            yield entries[0][0][1], [answer for _, answer in entries]

    def _questions(self, prompt: str, told: Iterator[tuple[Document, str]]) -> Iterator[Asked]:
        for number, (doc, text) in enumerate(told):
            messages = (("user", fill(prompt, text)),)
            for i in range(self.samples):
                yield number, doc, Question(messages, self.max_tokens, self.seed + i, self.temperature, self.top_p)


def question_of(doc: Document) -> str:
    question = doc.metadata.get("question")
    if not question:
        raise ValueError(
            f"document {doc.id!r} has no question in its metadata; give the format stage `keep: [question]`, or map a column "
            "to it"
        )
    return str(question)
