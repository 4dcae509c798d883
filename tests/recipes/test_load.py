"""Pages and overrides become recipes, or an error that names the key, the value and the way out."""

import pytest

from recipes.load import load
from recipes.schema import CurateRecipe, TrainRecipe


def refused(page: str, *overrides: str) -> str:
    with pytest.raises(ValueError, match=r"\w") as caught:  # callers look at the whole message
        load(page, overrides)
    return str(caught.value)


def test_an_unknown_page_names_the_nearest() -> None:
    assert refused("train/octothinker_3bb") == "there is no page 'train/octothinker_3bb'; did you mean 'train/octothinker_3b'?"
    assert "unknown key 'page'" in refused("train/demo", "page=train/other")
    assert refused("sweep/demo").startswith("sweep/demo is a sweep, not a page; call: midtrain sweep sweep/demo (")


@pytest.mark.parametrize(
    ("page", "override", "message"),
    [
        ("train/demo", "stages.decay.lr.peek=1", "stages.decay.lr: unknown key 'peek'; did you mean 'peak'?"),
        ("train/demo", "clusters=local", "unknown key 'clusters'; did you mean 'cluster'?"),
        ("train/demo", "cluster=locl", "cluster=locl: there is no such option; did you mean 'local'?"),
        ("train/demo", "branch=[demo_long,demo_shrt]", "branch=demo_shrt: there is no such option; did you mean 'demo_short'?"),
        ("train/demo", "stages.stable.blend.demo_web=0.5", "stages.stable.blend: blend shares sum to 0.7, not 1"),
        ("train/demo", "stages.stable.init=stabel", "stages.stable.init='stabel' is no earlier stage"),
        (
            "train/demo",
            "cluster.slurm={cpu: {time_limit: 30}}",
            '30 may be minutes or seconds; write the time limit in quotes, as "00:30:00"',
        ),
        ("train/demo", "sequence_length=many", "sequence_length: Input should be a valid integer"),
        ("train/demo", "sequence_length=999999", "sequence_length=999999 is above model.max_position_embeddings=131072"),
        ("train/demo", "stages.decay.lr.end=1", "stages.decay.lr: lr.end=1.0 is above lr.peak=0.003"),
        ("train/demo", "stages.stable.lr.end=1e-4", "does not fit schedule='constant'"),
        ("train/demo", "model.num_query_groups=3", "num_attention_heads=4 is not a multiple of num_query_groups=3"),
        (
            "curate/demo_web",
            "stages.dedup.min_jaccard=1.5",
            "stages.dedup.min_jaccard: Input should be less than or equal to 1 (got 1.5)",
        ),
        ("curate/demo_web", "stages.clean.filters.length.min_wrods=1", "stages.clean.filters.length: unknown key 'min_wrods'"),
        (
            "curate/demo_web",
            "stages.clean.filters.length.min_words=x",
            "stages.clean.filters.length.min_words: Input should be a valid integer",
        ),
        (
            "curate/demo_web",
            "stages.math.filters.math_classifier.min_score=high",
            "stages.math.filters.math_classifier.min_score: min_score=high: 'high' is no score from 0 to 1; set a number, chosen "
            "or {2023: 0.5, 2024: 0.4, all: 0.45}",
        ),
        ("curate/demo_web", "stages.clean.filters.wrods={}", "unknown filter 'wrods'; did you mean 'words'?"),
        ("curate/demo_web", "stages.decontaminate.benchmarks=null", "benchmarks"),
        ("curate/demo_web", "tokenizer=null", "stages has a tokenize stage, but `tokenizer` is not set"),
        ("curate/demo_qa", "stages.format.template=chat", "stages.format.template: Input should be 'question_answer'"),
        ("curate/demo_web", "stages.late={do: dedup}", "stage 'late' (dedup) stands behind 'tokenize', which ends a dataset"),
        (
            "curate/demo_web",
            "stages.dedup={do: decontaminate, benchmarks: {a: a.jsonl}}",
            "stages 'dedup' and 'decontaminate' both decontaminate; put their benchmarks into one stage",
        ),
        (
            "train/demo",
            "+stages.short={init: stable, steps: 4, blend: {demo_web: 1.0}, lr: {schedule: constant, peak: 1e-3}}",
            "stages.decay of branches.short and stages.short would both make 'export_short'; rename one of them",
        ),
        (
            "train/demo",
            "+stages.decay_short={init: stable, steps: 4, blend: {demo_web: 1.0}, lr: {schedule: constant, peak: 1e-3}}",
            "stages.decay of branches.short and stages.decay_short would both make 'decay_short'; rename one of them",
        ),
        (
            "train/demo",
            "+stages.report={init: stable, steps: 4, blend: {demo_web: 1.0}, lr: {schedule: constant, peak: 1e-3}}",
            "the page's report and stages.report would both make 'report'; rename one of them",
        ),
        ("train/demo", "stages.decay.lr.peak", "write it as key=value"),
    ],
)
def test_a_mistake_is_named_with_the_way_out(page: str, override: str, message: str) -> None:
    assert message in refused(page, override)


@pytest.mark.parametrize(
    ("override", "message"),
    [
        (
            "clean.filters.language.languages=[]",
            "clean.filters.language: languages is empty: nothing could be kept; name at least",
        ),
        (
            "clean.filters.language.languages=[English]",
            "'English' is no code of a language that lid.176 knows; did you mean 'en' (",
        ),
        (
            "clean.filters.language.languages=[en,EN]",
            "'EN' is no code of a language that lid.176 knows; did you mean 'en' (English)?",
        ),
        ("clean.filters.language.languages=[eng_Latn]", "did you mean 'en' (English)?"),
        ("clean.filters.language.languages=[German]", "did you mean 'de' (German)?"),
        ("clean.filters.language.languages=[12]", "Input should be a valid string"),
        ("clean.filters.language.languages=['%']", "'%' is no code of a language that lid.176 knows; its codes: af, als, am, "),
        ("clean.filters.length={min_words: 9, max_words: 8}", "clean.filters.length: min_words=9 is above max_words=8: nothing"),
        (
            "clean.filters.words.min_mean_word_length=13",
            "clean.filters.words: min_mean_word_length=13.0 is above max_mean_word_length=12.0: nothing could be kept",
        ),
        (
            "classifier.validation_share=1",
            "classifier: validation_share=1 holds all examples out: none is left to train on; set it",
        ),
        (
            "classifier.examples=[]",
            "classifier: examples is empty: there is nothing to train on; name at least one file or label",
        ),
    ],
)
def test_a_stage_that_could_keep_nothing_is_refused(override: str, message: str) -> None:
    assert message in refused("curate/demo_web", f"stages.{override}")


def test_languages_of_another_model_are_its_own() -> None:
    load("curate/demo_web", ["stages.clean.filters.language={languages: [eng_Latn], model: own.bin}"])


def test_overrides_reach_keys_that_the_page_leaves_at_their_default() -> None:
    recipe = load("train/demo", ["root=/elsewhere", "optimizer.beta2=0.99"])
    assert isinstance(recipe, TrainRecipe)
    assert (recipe.root, recipe.optimizer.beta2, recipe.optimizer.weight_decay) == ("/elsewhere", 0.99, 0.1)


def test_tokens_between_kept_checkpoints_are_written_as_all_tokens_are() -> None:
    for given, meant in (("20B", 20_000_000_000), ("0", 0)):
        recipe = load("train/demo", (f"cadence.keep_every_tokens={given}",))
        assert isinstance(recipe, TrainRecipe)
        assert recipe.cadence.keep_every_tokens == meant
    assert "is no number of tokens" in refused("train/demo", "cadence.keep_every_tokens=20X")


def test_a_filter_can_be_taken_away_and_the_others_keep_their_order() -> None:
    whole, less = load("curate/demo_web"), load("curate/demo_web", ["~stages.clean.filters.boilerplate"])
    assert isinstance(whole, CurateRecipe)
    assert isinstance(less, CurateRecipe)
    before = list(whole.stages["clean"].filters)
    assert list(less.stages["clean"].filters) == [name for name in before if name != "boilerplate"]


def test_a_mapping_that_is_given_replaces_and_stays_in_its_place() -> None:
    page = load("curate/web_files")
    assert isinstance(page, CurateRecipe)
    read = load(
        "curate/web_files", ["stages.extract={do: read, min_chars: 5}", "sources={a: {format: jsonl, path: 'x y.jsonl'}}"]
    )
    assert isinstance(read, CurateRecipe)
    assert list(read.stages) == list(page.stages)
    assert (read.stages["extract"].do, read.stages["extract"].min_chars) == ("read", 5)  # type: ignore[union-attr]
    assert {name: source.path for name, source in read.sources.items()} == {"a": "x y.jsonl"}


def test_one_branch_or_several_can_be_chosen() -> None:
    assert list(load("train/demo", ["branch=demo_long"]).branches) == ["long"]
    assert list(load("train/octothinker_3b", ["branch=[long,short]"]).branches) == ["long", "short"]


def test_recipes_are_frozen() -> None:
    recipe = load("train/demo")
    with pytest.raises(ValueError, match="frozen"):
        recipe.seed = 2  # type: ignore[misc]
