"""Files of benchmarks, packed or not, with the keys that each has of its own."""

import gzip
import json
from pathlib import Path

import pytest
import zstandard

from curation.decontaminate.detector import Detector
from curation.decontaminate.items import read_items
from recipes.schema import DecontaminateStage


def test_gzip_zstd_and_the_keys_of_real_benchmarks_are_read(tmp_path: Path) -> None:
    rows = [
        {"Body": "There are 87 oranges.", "Question": "How many are left?", "ID": "chal-7"},
        {"input": "Joan found 70 shells.", "target": float("nan"), "idx": 3},
        {"problem": "P", "question": "Q", "solution": "S"},
        {"prompt": "Write.", "question": None},
    ]
    content = "".join(json.dumps(row) + "\n\n" for row in rows).encode()
    (tmp_path / "a.jsonl.gz").write_bytes(gzip.compress(content, mtime=0))
    (tmp_path / "a.jsonl.zst").write_bytes(zstandard.ZstdCompressor().compress(content))
    for name in ("a.jsonl.gz", "a.jsonl.zst"):
        items = [(item.name, item.question) for item in read_items("a", tmp_path / name)]
        assert items == [
            ("chal-7", "There are 87 oranges. How many are left?"),
            ("3", "Joan found 70 shells."),
            ("line 5", "Q"),
            ("line 7", "Write."),
        ]


def test_packed_files_of_several_pieces_are_read_whole(tmp_path: Path) -> None:
    halves = [b"".join(b'{"question": "%d"}\n' % number for number in range(first, first + 10)) for first in (0, 10)]
    (tmp_path / "a.zst").write_bytes(b"".join(map(zstandard.ZstdCompressor().compress, halves)))
    (tmp_path / "a.gz").write_bytes(b"".join(map(gzip.compress, halves)))
    for name in ("a.zst", "a.gz"):
        assert [item.question for item in read_items("a", tmp_path / name)] == [str(number) for number in range(20)]


def damaged() -> dict[str, tuple[bytes, str]]:
    item = b'{"question": "What is the sum of the first ten primes?"}\n' * 200
    pieces = zstandard.ZstdCompressor().compress(item)
    open_end = zstandard.ZstdCompressor().compressobj()
    flushed = open_end.compress(item) + open_end.flush(zstandard.COMPRESSOBJ_FLUSH_BLOCK)
    return {
        "cut.zst": (pieces + pieces[:-20], "damaged or cut off"),
        "without_an_end.zst": (flushed, "damaged or cut off"),
        "cut.gz": (gzip.compress(item)[:-20], "damaged or cut off"),
        "flipped.gz": (gzip.compress(item)[:20] + b"\xff" * 20, "damaged or cut off"),
        "utf16.jsonl": (item.decode().encode("utf-16"), "utf16 text"),
        "zip.jsonl": (b"PK\x03\x04", "zip archive"),
        "latin1.jsonl": (b'{"question": "caf\xe9"}\n', "line 1 is not JSON"),
        "array.jsonl": (b'[{"question": "one"}, {"question": "two"}]', "a list; write one item a line"),
    }


@pytest.mark.parametrize("name", damaged())
def test_a_file_that_cannot_be_read_whole_is_named_with_the_way_out(name: str, tmp_path: Path) -> None:
    content, problem = damaged()[name]
    (tmp_path / name).write_bytes(content)
    with pytest.raises(ValueError, match=problem) as raised:
        list(read_items("gsm8k", tmp_path / name))
    assert "benchmark 'gsm8k'" in str(raised.value)
    assert str(tmp_path / name) in str(raised.value)


def detector_of(item: dict[str, object], path: Path) -> Detector:
    path.write_text(json.dumps(item))
    return Detector.of({"a": path}, DecontaminateStage(do="decontaminate", benchmarks={"a": str(path)}))


@pytest.mark.parametrize(("form", "bring_letters"), [("{}", 0), ("{letter}. {}", 0), ("({letter}) {}", 0), ("{letter}. {}", 1)])
def test_options_are_found_with_and_without_letters_before_them(form: str, bring_letters: int, tmp_path: Path) -> None:
    question, options = "Find the quotient of 5.04/0.7", ["72", "0.72", "0.072", "7.2"]
    lettered = [f"{letter}) {option}" for letter, option in zip("ABCD", options, strict=True)]
    detector = detector_of({"question": question, "options": lettered if bring_letters else options}, tmp_path / "a.jsonl")
    lines = [form.format(option, letter=letter) for letter, option in zip("ABCD", options, strict=True)]
    host = "This page is about something else, namely gardens. "
    [found] = detector.find(["\n".join([host, question, *lines, host])])
    assert "remove" in {finding.tier for finding in found}


def test_a_short_question_without_answer_is_found_with_its_solution(tmp_path: Path) -> None:
    item = {"problem": "Evaluate $(-125)^{4/3}$.", "solution": "Since $-125 = (-5)^3$, it is $(-5)^4 = \\boxed{625}$."}
    detector = detector_of(item, tmp_path / "a.jsonl")
    host = "This page is about something else, namely gardens. "
    together, apart = detector.find([f"{host}{item['problem']} {item['solution']} {host}", f"{host}{item['problem']} {host}"])
    assert ([finding.tier for finding in together], apart) == (["remove"], [])
