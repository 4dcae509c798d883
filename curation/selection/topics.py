"""Labels questions with one topic of a list: a language model tells it, or a field has it. s1 took the top level of the
Mathematics Subject Classification, which has other sciences too. Questions whose topic cannot be read are dropped: they could not
be drawn."""

from collections.abc import Iterator, Mapping
from pathlib import Path

from datatrove.data import Document, DocumentsPipeline
from datatrove.pipeline.base import PipelineStep

from curation.book import Book
from curation.language_model.asker import Asker
from curation.language_model.client import Client, report
from curation.language_model.label import cut
from curation.sampling.asked import question_of
from curation.selection.topic_list import read_topic, read_topics
from recipes.schema import LabelTopicStage

PLACE = "{topics}"  # of the list, in the prompt


class ReadTopics(PipelineStep):
    """Takes the topic's code from a field of the metadata, where it is one of the list."""

    type = "LABEL"
    name = "topics"

    def __init__(self, field: str, topics: Path, book: Book):
        super().__init__()
        self.field = field
        self.topics = topics
        self.book = book

    def run(self, data: DocumentsPipeline, rank: int = 0, world_size: int = 1) -> Iterator[Document]:  # type: ignore[override]
        topics = read_topics(self.topics)
        for doc in data or ():
            said = doc.metadata.get(self.field)
            code = str(said).strip() if said is not None else ""
            yield from _labelled(doc, code if code in topics else None, code, topics, self.book)


class AskTopics(PipelineStep):
    """Asks a language model."""

    type = "LABEL"
    name = "topics"

    def __init__(self, params: LabelTopicStage, asker: Asker, topics: Path, book: Book):
        super().__init__()
        self.params = params
        self.asker = asker
        self.topics = topics
        self.book = book

    def run(self, data: DocumentsPipeline, rank: int = 0, world_size: int = 1) -> Iterator[Document]:  # type: ignore[override]
        topics = read_topics(self.topics)
        with self.asker.client(rank, world_size) as client:
            listed = "\n".join(f"{code} {name}" for code, name in topics.items())
            self.asker.template = self.asker.template.replace(PLACE, listed)
            for doc, (topic, answer) in client.map(lambda doc: self._ask(client, topics, doc), data or ()):
                yield from _labelled(doc, topic, answer, topics, self.book)
            report(self.book, client)

    def _ask(self, client: Client, topics: Mapping[str, str], doc: Document) -> tuple[str | None, str]:
        """The topic, or None, and the last answer."""
        topic, said = None, ""
        for answer in self.asker.tries(client, cut(question_of(doc), self.params.max_chars)):
            topic, said = read_topic(answer.text, topics), answer.problem or answer.text
            if topic is not None:
                break
        return topic, said


def _labelled(doc: Document, topic: str | None, answer: str, topics: Mapping[str, str], book: Book) -> Iterator[Document]:
    """The document with its topic in the metadata; none where there is no topic, with what was said instead on record."""
    if topic is None:
        book.drop(doc, "topic_missing")
        book.example("topic_missing", doc, answer=answer)
        return
    doc.metadata["topic"] = topic
    book.count("topics", f"{topic} {topics[topic]}")
    yield doc
