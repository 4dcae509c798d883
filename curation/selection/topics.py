"""Labels questions with one topic of a list, by a language model. s1 took the top level of the Mathematics Subject
Classification, which has other sciences too."""

from collections.abc import Iterator, Mapping
from pathlib import Path

from datatrove.data import Document, DocumentsPipeline
from datatrove.pipeline.base import PipelineStep

from curation.book import Book
from curation.language_model.asker import Asker
from curation.language_model.client import Client
from curation.language_model.label import cut
from curation.selection.solved import question_of
from curation.selection.topic_list import read_topic, read_topics
from recipes.schema import LabelTopicStage

PLACE = "{topics}"  # of the list, in the prompt


class LabelTopics(PipelineStep):
    """Writes the topic's code into the metadata; a question whose topic cannot be read is dropped: it could not be drawn."""

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
                if topic is None:
                    self.book.drop(doc, "topic_missing")
                    self.book.example("topic_missing", doc, answer=answer)
                    continue
                doc.metadata["topic"] = topic
                self.book.count("topics", f"{topic} {topics[topic]}")
                yield doc
            client.report(self.book.count)

    def _ask(self, client: Client, topics: Mapping[str, str], doc: Document) -> tuple[str | None, str]:
        """The topic, or None, and the last answer."""
        topic, said = None, ""
        for answer in self.asker.tries(client, cut(question_of(doc), self.params.max_chars)):
            topic, said = read_topic(answer.text, topics), answer.problem or answer.text
            if topic is not None:
                break
        return topic, said
