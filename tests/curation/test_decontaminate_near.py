"""What is near a benchmark item, and what only has its words: the limits of comparing in order."""

from pathlib import Path

from curation.decontaminate.detector import Detector
from recipes.schema import DecontaminateStage
from tests.curation.test_benchmark_files import detector_of
from tests.curation.test_decontaminate import records

LINE = r"A line is parameterized by $u = 8 + t v.$ The equation of this line can be written as $y = mx + b$ with whole $m.$ "
LINE += r"Determine the unordered couple $(m,b).$"
BOATS = "The ferry carries thirty passengers over the narrow strait every morning while a heron watches the captain steer."


def near(tmp_path: Path, item: str, texts: list[str]) -> list[bool]:
    """Whether each text is near an item; none may be removed."""
    found = detector_of({"problem": item}, tmp_path / "a.jsonl").find(texts)
    assert all(finding.tier == "near" for findings in found for finding in findings)
    return [bool(findings) for findings in found]


def test_a_version_that_has_few_tokens_in_a_row_is_near_by_a_telling_one(tmp_path: Path) -> None:
    version = r"The line $y = 5x - 12$ is parameterized as $u = r + t k.$ Can it be written with whole $y = nx + c$? "
    version += r"Determine the unordered couple $(r,k).$"
    other = r"A circle is drawn around $r.$ Determine the unordered couple $(r,k).$"
    assert near(tmp_path, LINE, [version, other]) == [True, False]


def test_a_page_that_has_an_items_words_here_and_there_is_not_near_it(tmp_path: Path) -> None:
    pieces = ["ferry carries thirty passengers", "narrow strait", "heron watches the captain"]
    texts = [f" {' '.join(['other'] * num_others)} ".join(pieces) for num_others in (2, 6)]
    assert near(tmp_path, BOATS, texts) == [True, False]


def test_a_version_of_an_item_that_two_benchmarks_have_is_near_in_both(tmp_path: Path) -> None:
    both, alone = {"problem": LINE}, {"problem": BOATS}
    files = {"a": records(tmp_path / "a.jsonl", [alone, both]), "b": records(tmp_path / "b.jsonl", [both, alone, both])}
    params = DecontaminateStage(do="decontaminate", benchmarks={name: str(path) for name, path in files.items()})
    [findings] = Detector.of(files, params).find([LINE.replace("8", "9")])
    items = [(finding.part.item.benchmark, finding.part.item.name) for finding in findings]
    assert items == [("a", "line 2"), ("b", "line 1"), ("b", "line 3")]
    assert [bool(finding.spans) for finding in findings] == [True, False, False]
