"""Keys of the pages in recipes/curate: sources and stages of one dataset."""

from typing import Annotated, Any, Literal, Self

from pydantic import Field, SerializeAsAny, ValidationError, field_validator, model_validator
from pydantic_core import InitErrorDetails, PydanticCustomError

from recipes.schema.base import Model, Name, NotNegative, Positive, PositiveFloat, Share, Strict, Tokens, nearest
from recipes.schema.classifier import ChooseThresholdStage, DiscoverDomainsStage, DrawStage, ScoreStage, TrainClassifierStage
from recipes.schema.cluster import Cluster
from recipes.schema.endpoint import LabelStage, RewriteStage
from recipes.schema.filters import FILTER_PARAMETERS
from recipes.schema.paths import BuildGraphsStage, ResumeTracesStage, SamplePathsStage, check_paths
from recipes.schema.sampling import CheckSummariesStage, KeepVerifiedStage, SampleAnswersStage, check_samples
from recipes.schema.selection import DropSolvedStage, LabelTopicStage, SelectStage


class Source(Strict):
    """Files to read. `columns` maps our field (text, id, url, question, answer, ...) to the file's own; `where` names the values
    that a column of the file may have: other rows are skipped."""

    format: Literal["warc", "jsonl", "parquet"]
    path: str  # a file, folder or glob: local, hf://, s3://, or made:PAGE/STAGE/...
    columns: dict[str, str] = {}
    where: dict[str, tuple[bool | int | str, ...]] = {}

    @model_validator(mode="after")
    def _pages_have_no_columns(self) -> Self:
        if self.where and self.format == "warc":
            raise ValueError("where chooses rows by their columns, and a warc has none; leave it out")
        return self


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
    max_cpu_seconds: PositiveFloat = 30.0  # of one page, which is then left unread


class FormatStage(Strict):
    """Records to plain-text training documents (templates: curation/format.py)."""

    do: Literal["format"]
    template: Literal["question_answer", "short_cot", "long_cot", "instruction"]
    think_tags: bool = False
    max_chars: Positive = 200_000
    not_answers: tuple[str, ...] = ("proof", "notfound")  # what NuminaMath-1.5 has for an answer where there is none
    keep: tuple[Name, ...] = ()  # fields of the record that stay in the metadata, for stages that ask about them: question

    @model_validator(mode="after")
    def _tags_have_a_place(self) -> Self:
        if self.think_tags and self.template != "long_cot":
            raise ValueError(f"think_tags is for template long_cot, not {self.template!r}; leave it out")
        return self


class CheckAnswersStage(Strict):
    """Grades the answer that a record's own reasoning ends on by the record's answer, with two graders (recipes/grading.py)."""

    do: Literal["check_answers"]
    accept: Literal["math_verify", "text", "either", "both"] = "math_verify"  # whose word counts; text where math-verify has none
    on_wrong: Literal["drop", "keep"] = "drop"
    on_no_answer: Literal["drop", "keep"] = "keep"  # records without an answer to check by: proofs
    seconds: PositiveFloat = 5.0  # of CPU time for an answer, then it is a timeout


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
            try:
                typed[name] = FILTER_PARAMETERS[name].model_validate(parameters or {})
            except ValidationError as error:
                raise _below(name, error) from None
        return typed


def _below(name: str, error: ValidationError) -> ValidationError:
    """The same problems with the name that they lie under in their paths: pydantic knows only the field that is validated."""
    problems: list[InitErrorDetails] = [
        {
            "type": PydanticCustomError(problem["type"], problem["msg"]),  # type: ignore[arg-type]  # wants literals
            "loc": (name, *problem["loc"]),
            "input": problem["input"],
        }
        for problem in error.errors()
    ]
    return ValidationError.from_exception_data(error.title, problems)


class CleanStage(Strict):
    """Takes boilerplate lines and menus off the head and tail of documents and masks personal data; never formulas or code."""

    do: Literal["clean"]
    phrase_lists: tuple[str, ...] = ("boilerplate_phrases",)  # a line with such a phrase; shipped lists, or paths of files
    navigation_lists: tuple[str, ...] = ("navigation_lines",)  # a line that is nothing else
    max_menu_words: NotNegative = 3  # of a line of a menu
    min_menu_lines: Positive = 3  # in a row, one of them of the navigation lists
    repeated_lines: bool = True  # a line that follows itself goes
    mask: tuple[Literal["email", "phone", "ipv4"], ...] = ("email", "phone", "ipv4")


class DedupStage(Strict):
    """Exact and MinHash near-duplicates; candidates are checked against their true Jaccard similarity. `keep`: which of several
    stays, by the first of these that differs: best math_score, most characters, oldest date (ISO; one that is not counts as none,
    and is counted), source named first, smallest id."""

    do: Literal["dedup"]
    ngram: Positive = 5
    num_bands: Positive = 20  # MegaMath has 11 bands of 10 rows, FineWeb 14 of 8; these find more, and the check costs little
    rows_per_band: Positive = 6
    min_jaccard: Share = 0.75  # MegaMath, section 2.1
    url: bool = False  # documents of one URL are duplicates too
    keep: tuple[Literal["math_score", "length", "date", "source", "id"], ...] = ("math_score", "length", "id")
    against: dict[str, str] = {}  # name: index of documents that were kept before; what resembles them is dropped
    index: bool = False  # leaves such an index: made:curate/PAGE/dedup_index

    @model_validator(mode="after")
    def _rule_is_clear(self) -> Self:
        if len(set(self.keep)) < len(self.keep):
            raise ValueError(f"keep={list(self.keep)} names something twice; name each once")
        return self


class DecontaminateStage(Strict):
    """Drops or masks what documents hold of benchmark items; keeps the evidence (curation/decontaminate/step.py says how)."""

    do: Literal["decontaminate"]
    benchmarks: dict[str, str]  # name: jsonl path
    parts: tuple[Literal["options", "answer", "solution"], ...] = ("options", "answer", "solution")  # beside the question
    on_hit: Literal["drop", "mask"] = "drop"  # mask: the item is cut out of the text, the rest is kept
    ngram: Annotated[int, Field(ge=4, le=13)] = 8
    min_words: Positive = 13  # of an item that must be found, or all of it where it has fewer
    min_coverage: Share = 0.5  # share of an item that must be found, anywhere in the document
    min_in_order: Share = 0.8  # or found in one place in its order, other words between them or not
    near_coverage: Share = 0.4  # what is found like this, numbers taken for the same, is reported
    near_in_order: Share = 0.45  # and what has so much of its outline in order, by weight (curation/decontaminate/outlines.py)
    min_solution_words: Positive = 40  # a shorter solution contaminates only with its question
    canaries: Positive = 200  # items of each kind that are planted to measure recall, for the certificate

    @field_validator("benchmarks")
    @classmethod
    def _some_benchmark(cls, benchmarks: dict[str, str]) -> dict[str, str]:
        if not benchmarks:
            raise ValueError("benchmarks is empty: decontamination would do nothing; name at least one benchmark file")
        return benchmarks


class TokenizeStage(Strict):
    """Documents to Megatron's .bin/.idx with docs.parquet."""

    do: Literal["tokenize"]
    validation_share: Share = 0.0  # chosen by id, of the question if several documents are of one
    begin_of_text: bool = False  # before every document
    end_of_text: bool = True  # behind every document: without it they run into one another
    encoder: Literal["auto", "tokenizers"] = "auto"  # auto: the fastest way that gives the same ids


CurateStage = Annotated[
    SampleStage
    | ReadStage
    | ExtractStage
    | FormatStage
    | CheckAnswersStage
    | FilterStage
    | CleanStage
    | LabelStage
    | RewriteStage
    | SampleAnswersStage
    | KeepVerifiedStage
    | CheckSummariesStage
    | ResumeTracesStage
    | BuildGraphsStage
    | SamplePathsStage
    | DropSolvedStage
    | LabelTopicStage
    | SelectStage
    | DrawStage
    | TrainClassifierStage
    | ScoreStage
    | DiscoverDomainsStage
    | ChooseThresholdStage
    | DedupStage
    | DecontaminateStage
    | TokenizeStage,
    Field(discriminator="do"),
]


_MAKES_TEXT = ("read", "extract", "format", "clean", "rewrite", "keep_verified", "sample_paths")
_CHOOSES = ("filter", "dedup", "decontaminate", "check_answers", "check_summaries", "drop_solved", "label_topic", "select")
_BEFORE_TOKENS = (*_CHOOSES, "resume_traces", "build_graphs", "tokenize", *_MAKES_TEXT[2:])


class CurateRecipe(Strict):
    """A page of recipes/curate: one dataset."""

    page: str
    root: Name = "runs"
    seed: int = 0
    shards: Positive = 1  # ranks of each stage; part of what is made, unlike the workers that run them
    sources: dict[str, Source] = {}
    tokenizer: str | None = None  # Hugging Face folder: local, hf:// or made:
    expected_tokens: Tokens | None = None  # of the whole dataset, for plans until it is made; no part of any stage
    license: Name | None = None  # of the documents, as their sources give it, for the cards of what is trained on them
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
        if self.tokenizer is None and any("tokens" in getattr(stage, "filters", {}) for stage in self.stages.values()):
            raise ValueError(
                "the filter `tokens` counts with the page's `tokenizer`, which is not set; name a Hugging Face folder"
            )
        if kinds[0] in ("read", "extract", "format") and not self.sources:
            raise ValueError(f"the first stage reads documents ({kinds[0]}), but `sources` is empty")
        if kinds[0] == "sample" and len(kinds) > 1:
            raise ValueError("a sample stage makes raw files and stands alone on its page")
        if kinds[0] not in ("read", "extract", "format", "sample"):
            raise ValueError(f"the first stage must be read, extract, format or sample, not {kinds[0]!r}")
        check_samples(self.stages)
        if "sample_paths" in kinds and self.tokenizer is None:
            raise ValueError(
                "a sample_paths stage counts with the page's `tokenizer`, which is not set; name a Hugging Face folder"
            )
        check_paths(self.stages)
        return self

    @model_validator(mode="after")
    def _nothing_changes_text_behind_decontamination(self) -> Self:
        if "certificate" in self.stages and any(stage.do == "decontaminate" for stage in self.stages.values()):
            raise ValueError("the stage name 'certificate' is taken by the certificate of decontamination; choose another one")
        decontaminated = tokenized = ""
        for name, stage in self.stages.items():
            if decontaminated and stage.do in _MAKES_TEXT:
                raise ValueError(
                    f"stage {name!r} ({stage.do}) makes other text behind {decontaminated!r}, which would not be decontaminated; "
                    f"move {decontaminated!r} behind it"
                )
            if decontaminated and stage.do == "decontaminate":
                raise ValueError(
                    f"stages {decontaminated!r} and {name!r} both decontaminate; put their benchmarks into one stage"
                )
            if tokenized and stage.do in _BEFORE_TOKENS:
                raise ValueError(f"stage {name!r} ({stage.do}) stands behind {tokenized!r}, which ends a dataset; move it before")
            decontaminated = name if stage.do == "decontaminate" else decontaminated
            tokenized = name if stage.do == "tokenize" else tokenized
        return self
