"""What is not released and why, what is allowed by name, and what the command says of both."""

import math
from collections.abc import Callable
from pathlib import Path
from typing import Any, get_args

import orjson
import pytest
from click.testing import CliRunner, Result
from release_world import BRANCH, OVERRIDES, PAGE, RECALL, change, change_certificate, planned, root_of, stage_of

from recipes.manifest import read_manifest
from recipes.schema.release import Certificate
from recipes.stage import MANIFEST, Stage, write_atomically
from slurm.cli import main
from slurm.plan import Plan
from slurm.release.certificates import KINDS
from slurm.release.make import Refused, release
from slurm.release.verify import verify_bundle


def make(found: Plan, to: Path, **more: Any) -> Path:
    return release(found, BRANCH, to, **more)[0]


def say(*arguments: str, root: Path) -> Result:
    return CliRunner().invoke(main, [*arguments, *OVERRIDES, f"root={root}"])


def certificate(found: Plan) -> Stage:
    return stage_of(found, "certificate", "curate/demo_qa")


def resume_of(found: Plan, **changes: Any) -> None:
    stage = stage_of(found, "decay_short")
    change(stage, resume=read_manifest(stage.folder)["details"]["resume"] | changes)


def parity_of(found: Plan, **changes: Any) -> None:
    stage = stage_of(found, "export_short")
    change(stage, parity=read_manifest(stage.folder)["details"]["parity"] | changes)


def make_stale(found: Plan) -> None:
    """The certificate of tokens that were made anew since."""
    folder = certificate(found).folder
    folder.rename(folder.with_name("certificate-0123456789ab"))


def certify_others(found: Plan) -> None:
    tokens = orjson.loads((certificate(found).folder / "certificate.json").read_bytes())["tokens"]
    change_certificate(certificate(found), tokens=tokens | {"fingerprint": "0123456789ab"})


def write_by_hand(found: Plan) -> None:
    write_atomically(certificate(found).folder / "certificate.json", b"{}")


REFUSALS: dict[str, tuple[Callable[[Plan], None], str, str]] = {
    "parity_missing": (
        lambda found: change(stage_of(found, "export_short"), parity=None),
        "parity/export_short", "its record has no parity figures; export it again",
    ),
    "parity_over_the_limit": (
        lambda found: parity_of(found, max_difference=0.002),
        "parity/export_short", "logits differ by 0.002 from the trained model's, allowed are 0.001",
    ),
    "parity_no_number": (
        lambda found: parity_of(found, max_difference=math.nan),
        "parity/export_short", "logits differ by None from the trained model's, allowed are 0.001",
    ),
    "another_tokenizer": (
        lambda found: parity_of(found, tokenizer_agrees=False),
        "parity/export_short", "the exported tokenizer gives other tokens than the one that it was trained with",
    ),
    "resume_missing": (
        lambda found: change(stage_of(found, "decay_short"), resume=None),
        "resume/decay_short", "its record has no resume certificate; train it again",
    ),
    "not_same": (
        lambda found: resume_of(found, verdict="not same", differences=["step 3: loss was 2.0, is 2.1"]),
        "resume/decay_short", "its verdict is 'not same': step 3: loss was 2.0, is 2.1",
    ),
    "not_compared": (
        lambda found: resume_of(found, verdict="not compared"),
        "resume/decay_short", "its verdict is 'not compared': it went on under another layout, where nothing can tell",
    ),
    "no_certificate": (
        lambda found: (certificate(found).folder / MANIFEST).unlink(),
        "contamination/demo_qa", "has no certificate; make it with: midtrain run curate/demo_qa",
    ),
    "stale": (
        make_stale,
        "contamination/demo_qa", "has no certificate; stale: certificate-0123456789ab is of other tokens; make it with",
    ),
    "certificate_file_missing": (
        lambda found: (certificate(found).folder / "certificate.json").unlink(),
        "contamination/demo_qa", "its certificate is missing",
    ),
    "certificate_changed": (write_by_hand, "contamination/demo_qa", "its certificate is not as it was made"),
    "of_other_tokens": (certify_others, "contamination/demo_qa", "its certificate is of other tokens: of 0123456789ab, and"),
    "low_recall": (
        lambda found: change_certificate(
            certificate(found), canaries_questions={"verbatim": RECALL, "latex": RECALL | {"removed": 0.9}}
        ),
        "contamination/demo_qa",
        "of planted benchmark questions its detector found 90.0% of latex; the page asks for 95.0% (release.min_canary_recall)",
    ),
    "nothing_planted": (
        lambda found: change_certificate(certificate(found), canaries_questions={}),
        "contamination/demo_qa", "no canaries of verbatim, white_space, latex were planted",
    ),
}  # fmt: skip


@pytest.mark.parametrize(("spoil", "name", "reason"), REFUSALS.values(), ids=REFUSALS)
def test_a_certificate_that_is_missing_stale_or_failed_is_refused_with_the_reason_or_allowed_by_name(
    found: Plan, tmp_path: Path, spoil: Callable[[Plan], None], name: str, reason: str
) -> None:
    spoil(found)
    with pytest.raises(Refused) as caught:
        make(found, tmp_path / "bundle")
    [flaw] = caught.value.flaws
    assert flaw.name == name
    assert reason in flaw.reason
    assert list(tmp_path.iterdir()) == []

    kind, _, subject = name.partition("/")
    bundle, without = release(found, BRANCH, tmp_path / "bundle", allow=[name])
    assert [one.name for one in without] == [name]
    card = (bundle / "README.md").read_text()
    assert f"allowed that these certificates are missing, stale or failed:\n\n- {name}: " in card
    assert f"- {kind}, with the exceptions above\n" in card
    record = verify_bundle(bundle)
    assert record["unchanged"], record
    assert [row["subject"] for row in record["released_without"]] == [subject]


def test_to_allow_one_certificate_allows_no_other(found: Plan, tmp_path: Path) -> None:
    write_by_hand(found)
    resume_of(found, verdict="not compared")
    with pytest.raises(Refused, match=r"^short is not released: resume/decay_short: its verdict"):
        make(found, tmp_path / "bundle", allow=["contamination/demo_qa", "contamination/demo_web"])


def test_the_page_decides_what_is_asked_for(found: Plan, tmp_path: Path) -> None:
    found = planned(root_of(found), "+release={certificates: [parity], min_canary_recall: 1.0}")
    write_by_hand(found)
    make(found, tmp_path / "bundle")
    strict = planned(root_of(found), "+release={certificates: [contamination], canary_kinds: [split]}")
    with pytest.raises(Refused, match="no canaries of split were planted"):
        make(strict, tmp_path / "strict")
    assert [stage.fingerprint for stage in strict.stages] == [stage.fingerprint for stage in found.stages]


def test_every_kind_that_a_page_may_ask_for_is_there() -> None:
    assert tuple(KINDS) == get_args(Certificate)


def test_weights_that_are_not_as_they_were_exported_are_never_released(found: Plan, tmp_path: Path) -> None:
    weights = stage_of(found, "export_short").folder / "hf/model.safetensors"
    write_atomically(weights, weights.read_bytes()[:-1] + b"x")
    with pytest.raises(
        ValueError, match=r"hf/model.safetensors is not as it was exported; remove that folder and run train/demo"
    ):
        make(found, tmp_path / "bundle", allow=list(KINDS))


def test_a_record_that_is_of_another_stage_is_never_released(found: Plan, tmp_path: Path) -> None:
    stage = stage_of(found, "stable")
    change(stage, params=stage.params | {"seed": 5})
    with pytest.raises(ValueError, match=r"stable-\w+.json is not the record of that stage: what it tells is of fingerprint"):
        make(found, tmp_path / "bundle", allow=list(KINDS))


# ---------------------------------------------------------------------------------------------------- command line


def test_the_command_releases_refuses_and_says_what_to_allow(found: Plan, tmp_path: Path) -> None:
    runs = root_of(found)
    answer = say("release", PAGE, root=runs)
    assert answer.exit_code == 0, answer.output
    assert answer.stdout == f"{runs / 'train/demo/release/short'}\n"
    resume_of(found, verdict="not compared")
    refused = say("release", PAGE, "--to", str(tmp_path / "again"), root=runs)
    assert refused.exit_code == 1
    assert refused.stderr.startswith("refused: short: resume/decay_short: its verdict is 'not compared'")
    assert "or release without it: --allow resume/decay_short" in refused.stderr
    allowed = say("release", PAGE, "--to", str(tmp_path / "again"), "--allow", "resume", root=runs)
    assert allowed.exit_code == 0
    bundle = tmp_path / "again" / BRANCH
    verified = CliRunner().invoke(main, ["verify", str(bundle)])
    assert verified.exit_code == 0
    assert verified.stderr.startswith("released without resume/decay_short: its verdict is")
    assert "released without resume/decay_short: its verdict is 'not compared'" in allowed.stderr


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("curate/demo_web",), "curate/demo_web makes a dataset, not a model; release takes a train page"),
        (("prove/demo",), "prove/demo asks what models can do, and makes none; release takes a train page"),
        ((PAGE, "--branch", "long"), "--branch long: train/demo has no such end; it has short"),
        ((PAGE, "--allow", "partiy"), "--allow partiy: there is no such certificate; did you mean 'parity'?"),
        ((PAGE,), "not finished; make what is missing with: midtrain run train/demo"),
    ],
)
def test_a_mistake_is_named_with_the_way_out(tmp_path: Path, arguments: tuple[str, ...], message: str) -> None:
    overrides = OVERRIDES if arguments[0] == PAGE else ()
    answer = CliRunner().invoke(main, ["release", *arguments, *overrides, f"root={tmp_path}"])
    assert answer.exit_code == 2
    assert message in answer.stderr
