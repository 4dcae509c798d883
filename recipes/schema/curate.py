"""Keys of the pages in recipes/curate: sources and stages of one dataset."""

from typing import Annotated, Any, Literal, Self

from pydantic import Field, SerializeAsAny, field_validator, model_validator

from recipes.schema.base import Cluster, Model, Name, NotNegative, Positive, PositiveFloat, Share, Strict, nearest
from recipes.schema.filters import FILTER_PARAMETERS


class Source(Strict):
    """Files to read. `columns` maps our field (text, id, url, question, answer, ...) to the file's own."""

    format: Literal["warc", "jsonl", "parquet"]
    path: str  # a file, folder or glob: local, hf://, s3://, or made:PAGE/STAGE/...
    columns: dict[str, str] = {}


class SampleStage(Strict):
    """Makes the demo's raw data with known truth."""

    do: Literal["sample"]
    num_pages: Positive
    num_problems: Positive
    model: Model


class ReadStage(Strict):
    """Text documents from jsonl or parquet."""

    do: Literal["read"]
    min_chars: NotNegative = 1


class ExtractStage(Strict):
    """HTML to text with its mathematics."""

    do: Literal["extract"]
    min_chars: NotNegative = 200
    max_html_chars: Positive = 20_000_000


class FormatStage(Strict):
    """Records to plain-text training documents (templates: curation/format.py)."""

    do: Literal["format"]
    template: Literal["question_answer", "short_cot", "long_cot", "instruction"]
    think_tags: bool = False
    max_chars: Positive = 200_000

    @model_validator(mode="after")
    def _tags_have_a_place(self) -> Self:
        if self.think_tags and self.template != "long_cot":
            raise ValueError(f"think_tags is for template long_cot, not {self.template!r}; leave it out")
        return self


class FilterStage(Strict):
    """An ordered mapping of filters; a name is also the reason under which documents are dropped."""

    do: Literal["filter"]
    filters: dict[str, SerializeAsAny[Strict]]

    @field_validator("filters", mode="before")
    @classmethod
    def _typed_filters(cls, filters: Any) -> Any:
        if not isinstance(filters, dict) or not filters:
            raise ValueError("filters must be a mapping with at least one `name: {parameters}`")
        typed = {}
        for name, parameters in filters.items():
            if name not in FILTER_PARAMETERS:
                raise ValueError(f"unknown filter {name!r}; {nearest(name, list(FILTER_PARAMETERS))}")
            typed[name] = FILTER_PARAMETERS[name].model_validate(parameters or {})
        return typed


class TrainClassifierStage(Strict):
    """Supervised fastText; defaults are DeepSeekMath's (section 2.1) but for dim. They are for a million examples: a
    thousand stay untrained (all scores near 0.5) with less than learning_rate 0.5 or 25 epochs."""

    do: Literal["train_classifier"]
    examples: str  # jsonl with text and label (1 good, 0 bad)
    dim: Positive = 64
    learning_rate: PositiveFloat = 0.1
    word_ngrams: Positive = 3
    min_count: Positive = 3
    epochs: Positive = 3
    buckets: Positive = 2_000_000
    validation_share: Share = 0.1


class DedupStage(Strict):
    """Exact and MinHash near-duplicates; candidates are checked against their true Jaccard similarity."""

    do: Literal["dedup"]
    ngram: Positive = 5
    num_bands: Positive = 20
    rows_per_band: Positive = 6
    min_jaccard: Share = 0.75  # MegaMath, section 2.1


class DecontaminateStage(Strict):
    """Drops documents that hold benchmark items; keeps the evidence."""

    do: Literal["decontaminate"]
    benchmarks: dict[str, str]  # name: jsonl path
    ngram: Positive = 10
    min_coverage: Share = 0.5  # share of an item's n-grams that must be in the document
    min_item_words: Positive = 6  # shorter items are matched nowhere, and counted

    @field_validator("benchmarks")
    @classmethod
    def _some_benchmark(cls, benchmarks: dict[str, str]) -> dict[str, str]:
        if not benchmarks:
            raise ValueError("benchmarks is empty: decontamination would do nothing; name at least one benchmark file")
        return benchmarks


class TokenizeStage(Strict):
    """Documents to Megatron's .bin/.idx with docs.parquet."""

    do: Literal["tokenize"]
    validation_share: Share = 0.0  # of documents, chosen by id
    begin_of_text: bool = False  # before every document
    end_of_text: bool = True  # behind every document: without it they run into one another
    encoder: Literal["auto", "tokenizers"] = "auto"  # auto: tiktoken where it gives the same ids


CurateStage = Annotated[
    SampleStage
    | ReadStage
    | ExtractStage
    | FormatStage
    | FilterStage
    | TrainClassifierStage
    | DedupStage
    | DecontaminateStage
    | TokenizeStage,
    Field(discriminator="do"),
]


class CurateRecipe(Strict):
    """A page of recipes/curate: one dataset."""

    page: str
    root: Name = "runs"
    seed: int = 0
    shards: Positive = 1  # ranks of each stage; part of what is made, unlike the workers that run them
    sources: dict[str, Source] = {}
    tokenizer: str | None = None  # Hugging Face folder: local, hf:// or made:
    max_unreadable_records: Share = 0.01
    max_unreadable_files: Share = 0.1
    stages: dict[str, CurateStage]
    cluster: Cluster

    @model_validator(mode="after")
    def _whole(self) -> Self:
        kinds = [stage.do for stage in self.stages.values()]
        if not kinds:
            raise ValueError("stages is empty: name at least one")
        if "tokenize" in kinds and self.tokenizer is None:
            raise ValueError("stages has a tokenize stage, but `tokenizer` is not set; name a Hugging Face folder")
        if kinds[0] in ("read", "extract", "format") and not self.sources:
            raise ValueError(f"the first stage reads documents ({kinds[0]}), but `sources` is empty")
        if kinds[0] == "sample" and len(kinds) > 1:
            raise ValueError("a sample stage makes raw files and stands alone on its page")
        if kinds[0] not in ("read", "extract", "format", "sample"):
            raise ValueError(f"the first stage must be read, extract, format or sample, not {kinds[0]!r}")
        return self
