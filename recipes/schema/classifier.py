"""Keys of the classifier's loop: draw documents for labelling, train, score a corpus, find the sites and the threshold."""

from typing import Annotated, Any, Literal, Self

from pydantic import BeforeValidator, model_validator

from recipes.schema.base import Name, Positive, PositiveFloat, Share, Strict

FULL_MATRIX_THREADS = 10  # with fewer, but for one in a fresh process, fastText trains on memory that nobody filled


def _several(given: Any) -> Any:
    return (given,) if isinstance(given, str) else given


class DrawStage(Strict):
    """Draws a balanced sample of documents, which the label stages behind it read; all other stages go on with what was there
    before. Which ones are drawn depends on the seed and their ids alone."""

    do: Literal["draw"]
    per_stratum: Positive  # documents
    strata: tuple[Literal["dump", "source", "year", "site"], ...] = ("source",)
    max_per_site: Positive | None = None  # of a stratum
    sites: str | None = None  # draws from these alone: a discover_domains stage of the page, or a file with one a line


class TrainClassifierStage(Strict):
    """Supervised fastText; defaults are DeepSeekMath's (section 2.1). They are for a million examples: a thousand stay
    untrained (all scores near 0.5) with less than learning_rate 0.5 or 25 epochs."""

    do: Literal["train_classifier"]
    # jsonl with text and label (1 good, 0 bad), or the name of a label stage of the page; or several of these: of a text with two
    # labels the first one counts
    examples: Annotated[tuple[str, ...], BeforeValidator(_several)]
    out_of_distribution: dict[str, str] = {}  # name: jsonl from elsewhere, measured; texts that are in `examples` are left out
    dim: Positive = 256
    learning_rate: PositiveFloat = 0.1
    word_ngrams: Positive = 3
    min_count: Positive = 3
    epochs: Positive = 3
    buckets: Positive = 2_000_000
    balance: bool = False  # train on as many examples of one label as of the other
    threads: Positive = 1  # 1: the same bytes every time; 10 and more: faster, another model every time
    quantize: bool = False  # compress the model, about eightfold; its scores differ a little
    validation_share: Share = 0.1
    target_recall: Share = 0.95  # the highest threshold that reaches it on the held-out share is reported

    @model_validator(mode="after")
    def _has_what_to_train_on(self) -> Self:
        if not self.examples:
            raise ValueError("examples is empty: there is nothing to train on; name at least one file or label stage")
        if self.validation_share == 1:
            raise ValueError("validation_share=1 holds all examples out: none is left to train on; set it below 1, to 0.1 say")
        return self

    @model_validator(mode="after")
    def _fills_the_matrix(self) -> Self:
        if 1 < self.threads < FULL_MATRIX_THREADS:
            raise ValueError(
                f"threads={self.threads}: fastText leaves a part of its matrix unset with fewer than {FULL_MATRIX_THREADS}; "
                f"set 1 (the same bytes every time) or {FULL_MATRIX_THREADS} and more"
            )
        return self

    @property
    def file_name(self) -> str:
        """Of the model: fastText's own endings."""
        return "model.ftz" if self.quantize else "model.bin"


class ScoreStage(Strict):
    """Scores all documents, for discover_domains and choose_threshold; passes none on."""

    do: Literal["score"]
    model: Name  # a train_classifier stage of the page, or the path of a fastText model


class DiscoverDomainsStage(Strict):
    """Sites with many good pages: those of the next round, as DeepSeekMath finds them (section 2.1)."""

    do: Literal["discover_domains"]
    scores: Name  # a score stage of the page
    min_score: Share = 0.5
    min_share: Share = 0.1  # of a site's pages
    min_pages: Positive = 10  # smaller sites tell nothing


class ChooseThresholdStage(Strict):
    """The score above which the best documents fill a budget of tokens, as OctoThinker compares thresholds (5B of each year)."""

    do: Literal["choose_threshold"]
    scores: Name  # a score stage of the page
    token_budget: Positive
    per_year: bool = False  # the budget is for each year of the documents' dates
    characters_per_token: PositiveFloat = 3.8  # of Llama 3's tokenizer on mathematical web text
