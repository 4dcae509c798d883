"""Decontamination of real pages against real benchmarks, and of leaks that published pipelines missed and people confirmed."""

import gzip
import json
import re
from pathlib import Path

import pytest

from curation.decontaminate.detector import Detector
from recipes.schema import DecontaminateStage

NAMES = ("gsm8k_test", "math500", "olympiadbench_oe_en", "minerva_ocw", "mmlu_stem", "cmath", "gaokao_math_qa")
COPIES = ("identical", "same_setup_diff_question")


def read(path: Path) -> list[dict[str, str]]:
    with gzip.open(path, "rt", encoding="utf-8") as file:
        return [json.loads(line) for line in file]


def detector(files: dict[str, Path]) -> Detector:
    return Detector.of(
        files, DecontaminateStage(do="decontaminate", benchmarks={name: str(path) for name, path in files.items()})
    )


@pytest.fixture(scope="module")
def all_benchmarks(shared_data: Path) -> Detector:
    return detector({name: shared_data / "benchmarks" / f"{name}.jsonl.gz" for name in NAMES})


def tiers(found: Detector, texts: list[str]) -> list[str]:
    return [findings[0].tier if findings else "" for findings in found.find(texts)]


def test_real_items_in_real_pages_are_found_and_clean_pages_are_kept(all_benchmarks: Detector, shared_data: Path) -> None:
    pages = [row["text"] for row in read(shared_data / "text" / "planetmath_tex.jsonl.gz")[:400]]
    pages += [row["text"] for row in read(shared_data / "text" / "c4_demo.jsonl.gz")]
    clean = tiers(all_benchmarks, pages)
    assert "remove" not in clean
    assert clean.count("near") < 0.03 * len(pages)
    questions = [part.text for part in all_benchmarks.parts if part.name == "questions" and part.item.benchmark == "math500"]
    planted = [page + "\n" + re.sub(r"\s+", " ", item).replace("$", "") for page, item in zip(pages, questions, strict=False)]
    assert len(planted) > 400
    assert set(tiers(all_benchmarks, planted)) == {"remove"}


def test_confirmed_leaks_are_reported_among_all_items_of_their_benchmark(shared_data: Path) -> None:
    pairs = read(shared_data / "peer-tests" / "contamination_human_clex.jsonl.gz")
    assert len(pairs) == 15
    whole = detector({"math500": shared_data / "benchmarks" / "math500.jsonl.gz"})
    assert "" not in tiers(whole, [pair["train_problem"] for pair in pairs])


def test_copies_that_published_pipelines_missed_are_removed_and_versions_of_items_reported(
    tmp_path: Path, shared_data: Path
) -> None:
    pairs = read(shared_data / "peer-tests" / "contamination_human_clex.jsonl.gz")
    rows = [{"id": number, "problem": pair["math500_problem"]} for number, pair in enumerate(pairs)]
    path = tmp_path / "b.jsonl"
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    found = tiers(detector({"b": path}), [pair["train_problem"] for pair in pairs])
    copies = [tier for tier, pair in zip(found, pairs, strict=True) if pair["contamination_reason"] in COPIES]
    assert copies == ["remove"] * 4
    assert "" not in found


def test_clean_problems_are_not_near_because_they_ask_for_the_same_form_of_answer(tmp_path: Path, shared_data: Path) -> None:
    pairs = [
        row
        for name in ("pairs_math500", "human_clex", "human_csem")
        for row in read(shared_data / "peer-tests" / f"contamination_{name}.jsonl.gz")
    ]
    items = [pair["math500_problem"] for pair in pairs]
    path = tmp_path / "b.jsonl"
    path.write_text("".join(json.dumps({"id": number, "problem": item}) + "\n" for number, item in enumerate(items)))
    clean = [row["problem"] for row in read(shared_data / "peer-tests" / "contamination_clean_math500.jsonl.gz")]
    found = tiers(detector({"b": path}), [problem for problem in clean if problem not in items])
    assert found == [""] * 63


def test_clean_items_of_one_benchmark_are_not_taken_for_items_of_another(shared_data: Path) -> None:
    clean = [row["problem"] for row in read(shared_data / "peer-tests" / "contamination_clean_math500.jsonl.gz")]
    others = detector({name: shared_data / "benchmarks" / f"{name}.jsonl.gz" for name in ("gsm8k_test", "olympiadbench_oe_en")})
    assert "remove" not in tiers(others, clean)


def test_files_made_of_test_items_are_recognised_and_training_files_are_not(shared_data: Path) -> None:
    gsm8k = detector({"gsm8k_test": shared_data / "benchmarks" / "gsm8k_test.jsonl.gz"})
    removed = {}
    for name in ("gsm8k_model_solutions", "gsm8k_test_socratic", "gsm8k_backward", "gsm8k_train"):
        texts = [row["question"] for row in read(shared_data / "cot" / f"{name}.jsonl.gz")[:400]]
        removed[name] = tiers(gsm8k, texts).count("remove")
    assert (removed["gsm8k_model_solutions"], removed["gsm8k_test_socratic"], removed["gsm8k_train"]) == (400, 400, 0)
    assert removed["gsm8k_backward"] > 0.97 * 400
