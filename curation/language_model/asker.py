"""How a stage asks a language model about texts: its prompt, its limits, and where the answers are kept."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from curation.language_model.answers import Answer
from curation.language_model.chat import Question
from curation.language_model.client import Client
from curation.language_model.prompt import fill, read_prompt
from recipes.schema import LabelStage, LabelTopicStage, RewriteStage


@dataclass
class Asker:
    params: LabelStage | LabelTopicStage | RewriteStage
    prompt: Path
    answers: Path
    seed: int
    template: str = field(default="", init=False)

    def client(self, rank: int, num_ranks: int) -> Client:
        """To be closed. A prompt that cannot be used is an error here."""
        assert self.params.endpoint is not None  # a stage that reads a field has no asker
        self.template = read_prompt(self.prompt)
        return Client(self.params.endpoint, self.answers, rank, num_ranks)

    def tries(self, client: Client, text: str) -> Iterator[Answer]:
        """Answers to the prompt with this text, until the caller stops."""
        question = Question((("user", fill(self.template, text)),), max_tokens=self.params.max_answer_tokens, seed=self.seed)
        return client.tries(question, self.params.attempts)
