"""What decides a stage's identity and what does not; inputs are resolved, or the problem is named."""

import gzip
import json
import os
from functools import cache
from pathlib import Path

import pytest

from slurm.plan import plan


@cache
def fingerprints(*overrides: str, page: str = "train/demo") -> dict[str, str]:
    return {f"{stage.page}/{stage.name}": stage.fingerprint for stage in plan(page, overrides).stages}


def changed(*overrides: str, page: str = "train/demo") -> set[str]:
    before, after = fingerprints(page=page), fingerprints(*overrides, page=page)
    assert before.keys() == after.keys()
    return {name for name in before if before[name] != after[name]}


def test_a_filter_threshold_remakes_its_stage_and_those_below_and_nothing_above() -> None:
    remade = changed("demo_web:stages.math.filters.math_classifier.min_score=0.7")
    web = {name.removeprefix("curate/demo_web/") for name in remade if name.startswith("curate/demo_web/")}
    dedup = {"dedup_signatures", "dedup_candidates", "dedup_pairs", "dedup_clusters", "dedup"}
    assert web == {"math", *dedup, "decontaminate", "tokenize_shards", "tokenize", "certificate"}
    assert not any(name.startswith("curate/") and not name.startswith("curate/demo_web/") for name in remade)
    assert {name for name in remade if name.startswith("train/")} == {n for n in fingerprints() if n.startswith("train/")}


@pytest.mark.parametrize(
    "override",
    [
        "cluster=cpu",
        "cluster.threads_per_process=7",
        "parallelism=tensor2",
        "parallelism.micro_batch_size=4",
        "cadence.checkpoint_every_steps=3",
        "cadence.log_every_steps=1",
        "root=/elsewhere",
        "demo_web:max_unreadable_records=0.5",
    ],
)
def test_where_and_how_often_remakes_nothing(override: str) -> None:
    assert changed(override) == set()


def test_a_branch_blend_remakes_that_branch_alone() -> None:
    remade = changed("branches.long.blend={demo_web: 0.5, demo_long_cot: 0.5}")
    assert remade == {"train/demo/decay_long", "train/demo/export_long", "train/demo/report"}


def test_the_order_of_filters_is_part_of_the_identity() -> None:
    remade = changed("~stages.clean.filters.length", "+stages.clean.filters.length={}", page="curate/demo_web")
    assert "curate/demo_web/clean" in remade
    assert "curate/demo_web/extract" not in remade


def test_the_content_of_a_local_file_is_part_of_the_identity_and_its_place_is_not(tmp_path: Path) -> None:
    def extract_with(folder: str, content: bytes) -> str:
        (tmp_path / folder).mkdir(exist_ok=True)
        (tmp_path / folder / "a.jsonl.gz").write_bytes(gzip.compress(content, mtime=0))
        where = f"sources.demo_crawl.path={tmp_path}/{folder}/*.gz"
        return fingerprints(where, f"root={tmp_path}/{folder}", page="curate/demo_web")["curate/demo_web/extract"]

    assert extract_with("one", b"{}") == extract_with("two", b"{}") != extract_with("three", b"[]")


def test_missing_inputs_are_problems_that_name_the_key_and_the_path(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HF_HOME", str(tmp_path))
    problems = plan("train/octothinker_1b").problems
    assert (
        "base: hf://meta-llama/Llama-3.2-1B is not in the local hub cache; get it with: hf download meta-llama/Llama-3.2-1B"
        in problems
    )
    missing = plan("curate/demo_web", (f"sources.demo_crawl.path={tmp_path}/*.warc.gz",)).problems
    assert missing == [f"sources.demo_crawl.path: no file matches {tmp_path}/*.warc.gz"]


def test_a_layout_that_training_would_refuse_is_a_problem_of_the_plan() -> None:
    problems = plan("train/demo", ("parallelism.tensor=2",)).problems
    assert any("1 processes are not a multiple of tensor 2" in problem for problem in problems)
    problems = plan("train/octothinker_8b", ("global_batch_size=500",)).problems
    assert any("global_batch_size=500 is not a multiple" in problem for problem in problems)


def test_fp8_on_a_cpu_is_a_problem_of_the_plan() -> None:
    problems = plan("train/demo", ("precision=fp8",)).problems
    assert any(problem.startswith("decay_short: precision=fp8 needs CUDA and Transformer Engine") for problem in problems)


def test_validation_on_a_dataset_that_holds_nothing_out_is_a_problem_of_the_plan() -> None:
    told = (
        "validation.web: dataset 'demo_web' holds no documents out (validation_share of its tokenize stage is 0); set it above 0 "
        "on curate/demo_web, or remove it from `validation`"
    )
    assert told in plan("train/demo", ("demo_web:stages.tokenize.validation_share=0",)).problems
    assert plan("train/demo", ("demo_web:stages.tokenize.validation_share=0", "~validation.web")).problems == []


def test_base_weights_of_another_architecture_are_a_problem_of_the_plan(tmp_path: Path) -> None:
    config = {"hidden_size": 999, "num_hidden_layers": 6, "intermediate_size": 384, "num_attention_heads": 4}
    (tmp_path / "config.json").write_text(json.dumps(config))
    [problem] = plan("train/demo", (f"base={tmp_path}", f"root={tmp_path}/runs")).problems
    assert "config.json has no vocab_size, max_position_embeddings, rms_norm_eps" in problem
    config |= {"vocab_size": 4096, "max_position_embeddings": 131072, "rms_norm_eps": 1e-5}
    (tmp_path / "config.json").write_text(json.dumps(config))
    [problem] = plan("train/demo", (f"base={tmp_path}", f"root={tmp_path}/runs")).problems
    assert "hidden_size is 999, the recipe's model says 128" in problem


def test_a_blend_with_an_unknown_dataset_names_the_nearest() -> None:
    with pytest.raises(ValueError, match=r"no dataset 'demo_wbe' \(a page curate/demo_wbe\); did you mean 'demo_web'"):
        plan("train/demo", ("stages.stable.blend={demo_wbe: 1.0}",))


def test_a_dataset_with_another_tokenizer_is_refused() -> None:
    with pytest.raises(ValueError, match="dataset 'demo_web' is tokenized with"):
        plan("train/demo", ("tokenizer=hf://meta-llama/Llama-3.2-1B",))


def test_a_made_path_names_the_nearest_page_and_stage() -> None:
    with pytest.raises(ValueError, match="there is no page 'curate/demo_dta'; did you mean 'curate/demo_data'"):
        plan("train/demo", ("base=made:curate/demo_dta/sample/base_model",))
    with pytest.raises(ValueError, match="has no stage 'smaple'; did you mean 'sample'"):
        plan("train/demo", ("base=made:curate/demo_data/smaple/base_model",))


def test_an_override_for_an_unknown_dataset_page_is_refused() -> None:
    with pytest.raises(ValueError, match="did you mean 'curate/demo_web'"):
        plan("train/demo", ("demo_wb:seed=2",))


def test_stages_come_after_their_inputs() -> None:
    seen: set[str] = set()
    for stage in plan("train/octothinker_3b").stages:
        for role, entry in stage.inputs.items():
            assert entry.stage is None or entry.stage in seen, (stage.name, role)
        seen.add(str(stage.folder))


def test_a_key_of_another_page_can_be_taken_away() -> None:
    remade = changed("~demo_web:stages.clean.filters.repetition")
    assert {"curate/demo_web/clean_features", "curate/demo_web/clean"} <= remade
    assert remade == changed("demo_web:~stages.clean.filters.repetition")


def test_inputs_of_the_wrong_kind_are_problems_of_the_plan(tmp_path: Path) -> None:
    (tmp_path / "empty.jsonl").write_text("")
    (tmp_path / "folder").mkdir()
    given = (
        f"stages.decontaminate.benchmarks={{a: {tmp_path}/empty.jsonl, b: {tmp_path}/folder}}",
        f"tokenizer={tmp_path}/folder",
    )
    problems = " ".join(plan("curate/demo_web", given).problems)
    assert f"stages.decontaminate.benchmarks.a: {tmp_path}/empty.jsonl is empty; name a jsonl file of items" in problems
    assert f"stages.decontaminate.benchmarks.b: {tmp_path}/folder is a folder; name a jsonl file of items" in problems
    assert f"tokenizer: {tmp_path}/folder is not a tokenizer folder: it has none of tokenizer.json" in problems


def test_items_of_benchmarks_that_cannot_be_read_are_problems_of_the_plan(tmp_path: Path) -> None:
    question = '{"question": "What is 2 + 2?"}\n'
    wrong = {
        "keys": (question + '{"sum": "2 + 2"}\n', "line 2 has no question: keys ['sum'], wanted one of question, problem"),
        "json": (question + "{", "line 2 is not JSON"),
        "list": ("[1]\n", "line 1 is no object but a list; write one item a line"),
    }
    for name, (content, _) in wrong.items():
        (tmp_path / f"{name}.jsonl").write_text(content)
    (tmp_path / "right.jsonl").write_text(question)
    named = {name: f"{tmp_path}/{name}.jsonl" for name in (*wrong, "right")} | {"pattern": f"{tmp_path}/*.jsonl"}
    given = ",".join(f"{name}: '{path}'" for name, path in named.items())
    problems = plan("curate/demo_web", (f"stages.decontaminate.benchmarks={{{given}}}",)).problems
    key = "stages.decontaminate.benchmarks"
    assert len(problems) == len(wrong) + 1
    for name, (_, why) in wrong.items():
        assert any(p.startswith(f"{key}.{name}: benchmark {name!r}: {named[name]}, ") and why in p for p in problems), problems
    assert any(p.startswith(f"{key}.pattern: ") and p.endswith("name one file") for p in problems), problems


def test_files_of_a_source_that_cannot_be_read_are_noted_and_pipes_are_not_waited_for(tmp_path: Path) -> None:
    (tmp_path / os.fsdecode(b"a\xff.jsonl")).write_text("{}")  # a name that is no UTF-8
    (tmp_path / "b.jsonl").symlink_to("b.jsonl")
    (tmp_path / "c.jsonl").symlink_to("nowhere")
    planned = plan("curate/demo_web", (f"sources.demo_crawl.path={tmp_path}/*.jsonl",))
    assert planned.problems == []
    assert planned.warnings == [
        f"sources.demo_crawl.path: {tmp_path}/b.jsonl cannot be read (Too many levels of symbolic links); "
        "it will be counted as unreadable",
        f"sources.demo_crawl.path: {tmp_path}/c.jsonl cannot be read (No such file or directory); "
        "it will be counted as unreadable",
    ]
    (tmp_path / "c.jsonl").unlink()
    (tmp_path / "c.jsonl").write_text("{}")
    mended = plan("curate/demo_web", (f"sources.demo_crawl.path={tmp_path}/*.jsonl",))
    read = [next(stage for stage in each.stages if stage.name == "extract") for each in (planned, mended)]
    assert read[0].fingerprint != read[1].fingerprint  # so that what was counted as unreadable is read now
    os.mkfifo(tmp_path / "d.jsonl")
    given = ("sources.demo_crawl.path", f"{tmp_path}/*.jsonl"), ("stages.classifier.examples", f"{tmp_path}/b.json*")
    problems = plan("curate/demo_web", tuple(f"{key}={path}" for key, path in given)).problems
    assert problems == [
        f"sources.demo_crawl.path: {tmp_path}/d.jsonl is a pipe or a device, which may never end; name only files",
        f"stages.classifier.examples: {tmp_path}/b.jsonl cannot be read (Too many levels of symbolic links); "
        "mend it, or take it out of what the key names",
    ]
