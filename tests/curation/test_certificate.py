"""The certificate of a dataset: what was found in it, what of planted items would be, and the token files it holds for."""

import hashlib
import json
import random
import re
import shutil
from pathlib import Path
from typing import Any

import pytest
from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers

from curation.decontaminate.canaries import KINDS, drawn_anew, measure, plant
from curation.decontaminate.detector import Detector
from recipes.manifest import changed_files, read_manifest
from recipes.schema import DecontaminateStage
from recipes.stage import Stage
from slurm.plan import plan
from tests.curation.small_page import run

NAMES = ("Ann", "Bob", "Cleo", "Dora", "Emil", "Fritz", "Gita", "Hugo")
THINGS = ("apples", "stamps", "marbles", "books", "pencils", "shells", "coins", "cards", "ribbons", "candles", "plates", "rings")
PLACES = ("at the market", "in the garden", "on the beach", "behind the school", "near the river", "from an uncle")


def problem(rng: random.Random) -> str:
    one, other = rng.sample(NAMES, 2)
    thing, place, back = rng.choice(THINGS), rng.choice(PLACES), rng.choice(PLACES)
    return (
        f"{one} found {rng.randint(20, 99)} {thing} {place} before noon. Later {other} brought ${rng.randint(2, 9)}^{{2}}$ more "
        f"{rng.choice(THINGS)} and lost $\\frac{{{rng.randint(1, 9)}}}{{{rng.randint(10, 19)}}}$ of the {thing} {back}. "
        f"How many {thing} does {one} have now, when {other} keeps {rng.randint(100, 999)}?"
    )


def page_text(rng: random.Random) -> str:
    return " ".join(rng.choice(("the", "a", "then", "so", *THINGS, "walks", "theorem", "proof", "x", "over")) for _ in range(120))


@pytest.fixture
def benchmark(tmp_path: Path) -> Path:
    rng = random.Random(1)
    path = tmp_path / "problems.jsonl"
    path.write_text("".join(json.dumps({"id": i, "question": problem(rng)}) + "\n" for i in range(60)))
    return path


@pytest.fixture
def detector(benchmark: Path) -> Detector:
    return Detector.of({"problems": benchmark}, DecontaminateStage(do="decontaminate", benchmarks={"problems": str(benchmark)}))


def test_every_kind_of_canary_is_another_way_to_write_the_item(detector: Detector) -> None:
    text = detector.parts[0].text
    made = {kind: make(text, ["other"], random.Random(2)) for kind, make in KINDS.items()}
    assert made.pop("verbatim") == [text]
    assert made["white_space"][0].lower().split() == text.replace("$", "").lower().split()
    assert r"\dfrac" in made["latex"][0]
    assert sorted(made["sentences_reordered"][0].split()) == sorted(text.split())
    assert " ".join(made["split"]) == text
    assert text.startswith(made["truncated"][0])
    assert "other" in made["words_swapped"][0].split()
    assert all(pieces != [text] for pieces in made.values())
    assert KINDS["numbers_changed"]("No number here.", ["other"], random.Random(2)) == []
    anew = drawn_anew("Ann has 3 red cats.", ["other"], random.Random(2))
    assert re.fullmatch(r"other other [0-24-9] other other\.", anew)


def test_canaries_are_planted_in_documents_and_found_again(detector: Detector) -> None:
    hosts = [page_text(random.Random(number)) for number in range(10)]
    assert plant("verbatim", detector.parts, hosts, 5, seed=3) == plant("verbatim", detector.parts, hosts, 5, seed=3)
    found = {kind: measure(detector, plant(kind, detector.parts, hosts, 40, seed=3)) for kind in [*KINDS, "drawn_anew"]}
    assert {recall.planted for recall in found.values()} == {40}
    for kind in ("verbatim", "white_space", "latex", "sentences_reordered", "split"):
        assert found[kind].removed == 40, kind
    assert found["words_swapped"].removed >= 36
    assert found["every_8th_word"].removed >= 36
    assert found["every_5th_word"].reported == 40
    assert (found["numbers_changed"].removed, found["numbers_changed"].reported) == (0, 40)
    assert found["truncated"].reported == 40
    assert found["drawn_anew"].removed == 0


@pytest.fixture
def tokenizer(tmp_path: Path) -> Path:
    folder = tmp_path / "tokenizer"
    folder.mkdir()
    made = Tokenizer(models.BPE())
    made.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    made.decoder = decoders.ByteLevel()
    alphabet = pre_tokenizers.ByteLevel.alphabet()
    made.train_from_iterator([], trainers.BpeTrainer(vocab_size=300, special_tokens=["<|end|>"], initial_alphabet=alphabet))
    made.save(str(folder / "tokenizer.json"))
    (folder / "tokenizer_config.json").write_text(json.dumps({"eos_token": "<|end|>"}))
    return folder


def stages(tmp_path: Path, benchmark: Path, tokenizer: Path, *, decontaminate: str = "") -> dict[str, Stage]:
    """The planned stages of a page over 40 texts; every tenth one holds an item."""
    rng = random.Random(4)
    items = [json.loads(line)["question"] for line in benchmark.read_text().splitlines()]
    texts = [f"{page_text(rng)}\n{items[i] if i % 10 == 0 else ''}\n{page_text(rng)}" for i in range(40)]
    source = tmp_path / "texts.jsonl"
    source.write_text("".join(json.dumps({"id": f"t{i}", "text": text}) + "\n" for i, text in enumerate(texts)))
    settings = f"decontaminate: {{do: decontaminate, benchmarks: {{problems: {benchmark}}}, canaries: 30{decontaminate}}}"
    overrides = (
        f"root={tmp_path}/runs",
        "shards=2",
        f"tokenizer={tokenizer}",
        f"sources={{texts: {{format: jsonl, path: {source}}}}}",
        f"stages={{read: {{do: read}}, {settings}, tokenize: {{do: tokenize}}}}",
    )
    planned = plan("curate/web_files", overrides)
    assert not planned.problems
    return {stage.name: stage for stage in planned.stages if stage.do != "report"}


def read_certificate(stage: Stage) -> dict[str, Any]:
    found: dict[str, Any] = json.loads((stage.folder / "certificate.json").read_bytes())
    return found


def test_a_certificate_says_what_was_found_what_would_be_and_for_which_token_files(
    tmp_path: Path, benchmark: Path, tokenizer: Path
) -> None:
    planned = stages(tmp_path, benchmark, tokenizer)
    assert list(planned) == ["read", "decontaminate", "tokenize_shards", "tokenize", "certificate"]
    run(planned)
    certificate = read_certificate(planned["certificate"])
    tokens = read_manifest(planned["tokenize"].folder)
    assert certificate["tokens"]["files"] == tokens["outputs"]
    assert {"train.bin", "train.idx"} <= {file["path"] for file in certificate["tokens"]["files"]}
    assert certificate["tokens"]["fingerprint"] == planned["tokenize"].fingerprint
    assert certificate["documents"]["fingerprint"] == planned["decontaminate"].fingerprint
    told = certificate["benchmarks"]["problems"]
    assert (told["items"], told["items_removed"], told["items_masked"]) == (60, 4, 0)
    assert told["sha256"] == hashlib.sha256(benchmark.read_bytes()).hexdigest()
    hits = [hit for hit in certificate["hits"] if hit["tier"] == "removed"]
    assert [(hit["item"], hit["document"], hit["documents"]) for hit in hits] == [(f"{i}", f"t{i}", 1) for i in (0, 10, 20, 30)]
    assert all(len(hit["matched"]) > 100 for hit in hits)
    verbatim = certificate["canaries_questions"]["verbatim"]
    assert (verbatim["planted"], verbatim["removed"]) == (30, 1.0)
    assert verbatim["removed_interval"][0] == pytest.approx(30 / (30 + 1.96**2), abs=1e-3)  # Wilson's for 30 of 30
    assert set(certificate["canaries_questions"]) == set(KINDS)
    clean = certificate["clean_items"]
    assert (clean["documents"]["planted"], clean["documents"]["removed"]) == (36, 0.0)
    assert clean["questions_drawn_anew"]["removed"] == 0.0
    details = read_manifest(planned["certificate"].folder)["details"]
    assert details == {key: certificate[key] for key in details}
    assert certificate["settings"]["ngram"] == 8
    assert changed_files(planned["certificate"].folder) == []


def test_the_same_page_has_the_same_certificate_and_other_canaries_decontaminate_nothing_again(
    tmp_path: Path, benchmark: Path, tokenizer: Path
) -> None:
    planned = stages(tmp_path, benchmark, tokenizer)
    run(planned)
    first = (planned["certificate"].folder / "certificate.json").read_bytes()
    shutil.rmtree(planned["certificate"].folder)
    run(planned)
    assert (planned["certificate"].folder / "certificate.json").read_bytes() == first
    overridden = plan("curate/demo_qa", ("stages.decontaminate.canaries=7",)).stages
    plain = plan("curate/demo_qa").stages
    differ = {mine.name for mine, theirs in zip(overridden, plain, strict=True) if mine.fingerprint != theirs.fingerprint}
    assert differ == {"certificate", "report"}


def test_masked_items_are_on_the_certificate(tmp_path: Path, benchmark: Path, tokenizer: Path) -> None:
    planned = stages(tmp_path, benchmark, tokenizer, decontaminate=", on_hit: mask")
    run(planned)
    certificate = read_certificate(planned["certificate"])
    assert certificate["benchmarks"]["problems"]["items_masked"] == 4
    assert {hit["tier"] for hit in certificate["hits"]} == {"masked"}
    counts = read_manifest(planned["decontaminate"].folder)["counts"]
    assert (counts["documents_out"], counts["marked"]["masked_contamination"]) == (40, 4)
    assert counts["masked"]["characters"] > 400


def test_a_page_with_rewriting_behind_decontamination_is_refused() -> None:
    behind = "{do: format, template: long_cot}"
    with pytest.raises(
        ValueError, match=r"stage 'again' \(format\) makes other text behind 'decontaminate'.*move 'decontaminate'"
    ):
        plan("curate/demo_qa", (f"+stages.again={behind}",))
    with pytest.raises(ValueError, match="'certificate' is taken"):
        plan("curate/demo_qa", ("+stages.certificate={do: dedup}",))


def test_a_training_page_warns_of_a_dataset_that_is_not_decontaminated() -> None:
    assert not any("decontaminated" in warning for warning in plan("train/demo").warnings)
    warnings = plan("train/demo", ("demo_qa:~stages.decontaminate",)).warnings
    [warning] = [warning for warning in warnings if "decontaminated" in warning]
    assert warning.startswith("dataset 'demo_qa' is not decontaminated, and has no certificate: curate/demo_qa has no")
