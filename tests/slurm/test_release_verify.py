"""A bundle checked from its files alone: whatever byte is changed, its file is named; who writes new sums is found out too."""

import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import orjson
import pytest
from click.testing import CliRunner
from release_world import flip, names, reseal

from slurm.cli import main
from slurm.release import sums
from slurm.release.bundle import Bundle
from slurm.release.verify import verify_bundle


def edit(file: Path, change: Callable[[dict[str, Any]], None]) -> None:
    content = orjson.loads(file.read_bytes())
    change(content)
    file.write_bytes(orjson.dumps(content))


def test_what_was_released_is_unchanged(released: Path) -> None:
    record = verify_bundle(released)
    assert record["unchanged"], record
    assert record["files"] == len(names(released)) - 2
    answer = CliRunner().invoke(main, ["verify", str(released)])
    assert answer.exit_code == 0
    assert answer.stdout.endswith("unchanged, and its records and certificates hold; not signed\n")


def test_a_bundle_is_checked_wherever_it_lies_and_without_the_results_it_came_from(released: Path, bundle: Path) -> None:
    record = verify_bundle(bundle)
    assert record == verify_bundle(released) | {"bundle": str(bundle)}


def test_a_flipped_bit_is_named_in_whatever_file_and_place_it_is(bundle: Path) -> None:
    for name in names(bundle):
        content = (bundle / name).read_bytes()
        for place in sorted({0, len(content) // 2, len(content) - 1}):
            (bundle / name).write_bytes(flip(content, place))
            record = verify_bundle(bundle)
            assert record["changed"] == [f"{name} (content changed)"], (name, place)
            assert not record["unchanged"]
        (bundle / name).write_bytes(content)
    assert verify_bundle(bundle)["unchanged"]


def test_a_flipped_bit_is_named_anywhere_in_the_sums_and_in_their_seal(bundle: Path) -> None:
    found = sums.hashes(bundle)
    for name in (sums.SUMS, sums.SEAL):
        content = (bundle / name).read_bytes()
        for place in range(0, len(content), 1 if name == sums.SEAL else 101):
            (bundle / name).write_bytes(flip(content, place))
            assert sums.changes(bundle, found) == [f"{name} (content changed)"], place
        (bundle / name).write_bytes(content)


def test_missing_added_and_linked_files_are_named(bundle: Path) -> None:
    (bundle / "tokenizer.json").rename(bundle / "other.json")
    (bundle / "config.json").rename(bundle.parent / "config.json")
    (bundle / "config.json").symlink_to(bundle.parent / "config.json")
    assert verify_bundle(bundle)["changed"] == [
        "config.json (a link, which is no part of a bundle)", "other.json (added)", "tokenizer.json (missing)",
    ]  # fmt: skip


def test_what_a_bundle_does_not_take_is_said(bundle: Path) -> None:
    answer = CliRunner().invoke(main, ["verify", str(bundle), "branch=long"])
    assert answer.exit_code == 2
    assert "is a released bundle, which takes no overrides: branch=long" in answer.stderr
    answer = CliRunner().invoke(main, ["verify", "train/demo", "--signer", "key.pub"])
    assert answer.exit_code == 2
    assert "--signer: train/demo is no released bundle" in answer.stderr


@pytest.mark.parametrize("name", [sums.SUMS, sums.SEAL])
def test_a_bundle_without_its_sums_is_still_known_as_one(bundle: Path, name: str) -> None:
    (bundle / name).unlink()
    answer = CliRunner().invoke(main, ["verify", str(bundle)])
    assert answer.exit_code == 1
    assert f"changed: {name} (missing)" in answer.stderr


def test_several_changes_are_all_named(bundle: Path) -> None:
    (bundle / "config.json").write_text("{}")
    lines = (bundle / sums.SUMS).read_bytes().splitlines(keepends=True)
    (bundle / sums.SUMS).write_bytes(b"".join(lines[:-1]))
    assert verify_bundle(bundle)["changed"] == [
        "config.json (content changed)", "tokenizer_config.json (added)", "SHA256SUMS (not as SEAL says)",
    ]  # fmt: skip


# ------------------------------------------------------------------------------------------------ new sums over changed files


def manifest_of(bundle: Path, stage: str) -> Path:
    [file] = bundle.glob(f"manifests/*/*/{stage}-*.json")
    return file


def put_other_weights(bundle: Path) -> None:
    (bundle / "model.safetensors").write_bytes(b"other weights")


def add_weights(bundle: Path) -> None:
    (bundle / "pytorch_model.bin").write_bytes(b"others")


def raise_the_limit(bundle: Path) -> None:
    edit(manifest_of(bundle, "export_short"), lambda manifest: manifest["params"].update(max_logit_difference=9.0))


def fail_parity(bundle: Path) -> None:
    edit(manifest_of(bundle, "export_short"), lambda manifest: manifest["details"]["parity"].update(max_difference=0.5))


def pass_resume(bundle: Path) -> None:
    edit(bundle / "certificates/resume/stable.json", lambda certificate: certificate.update(restarts=7))


def swap_contamination(bundle: Path) -> None:
    folder = bundle / "certificates/contamination"
    shutil.copyfile(folder / "demo_web.json", folder / "demo_qa.json")


def take_a_stage_away(bundle: Path) -> None:
    file = manifest_of(bundle, "decay_short")
    name = file.relative_to(bundle / "manifests").as_posix().removesuffix(".json")
    file.unlink()
    edit(bundle / "release.json", lambda record: record["stages"].remove(name))


def claim_another_maker(bundle: Path) -> None:
    def change(manifest: dict[str, Any]) -> None:
        web, qa = (manifest["inputs"][f"dataset/demo_{name}"] for name in ("web", "qa"))
        web["made_by"], qa["made_by"] = qa["made_by"], web["made_by"]

    edit(manifest_of(bundle, "stable"), change)


def claim_a_flaw(bundle: Path) -> None:
    row = {"certificate": "resume", "subject": "stable", "reason": "none"}
    edit(bundle / "release.json", lambda record: record["released_without"].append(row))


def take_the_record_away(bundle: Path) -> None:
    (bundle / "release.json").unlink()


def take_a_key_away(bundle: Path) -> None:
    edit(bundle / "release.json", lambda record: record.pop("asked"))


def damage(bundle: Path) -> None:
    manifest_of(bundle, "stable").write_text("{")


@pytest.mark.parametrize(
    ("change", "wrong"),
    [
        (put_other_weights, "model.safetensors is not the file that train/demo/export_short-"),
        (add_weights, "pytorch_model.bin is no file of the export"),
        (raise_the_limit, ".json is not the record of that stage: what it tells is of fingerprint"),
        (fail_parity, "parity/export_short: logits differ by 0.5 from the trained model's"),
        (pass_resume, "certificates/resume/stable.json is not what the record of its stage says"),
        (swap_contamination, "contamination/demo_qa: its certificate is not as it was made"),
        (take_a_stage_away, "which train/demo/export_short-"),
        (claim_another_maker, "as dataset/demo_web, and that curate/demo_qa/tokenize-"),
        (claim_a_flaw, "resume/stable: release.json names it as released without, and nothing is wrong with it"),
        (damage, ".json cannot be read: "),
        (take_the_record_away, "release.json cannot be read: "),
        (take_a_key_away, "its records are not as a release writes them: KeyError('asked')"),
    ],
)
def test_who_changes_a_file_and_writes_new_sums_is_found_out_by_the_records(
    bundle: Path, change: Callable[[Path], None], wrong: str
) -> None:
    change(bundle)
    reseal(bundle)
    record = verify_bundle(bundle)
    assert record["changed"] == []
    assert not record["unchanged"]
    assert any(wrong in text for text in record["wrong"]), record["wrong"]
    answer = CliRunner().invoke(main, ["verify", str(bundle)])
    assert answer.exit_code == 1
    assert answer.stderr.startswith("wrong: ")


def test_stages_of_another_page_are_told_apart(tmp_path: Path) -> None:
    (tmp_path / "release.json").write_text('{"page": "train/second"}')
    bundle = Bundle(tmp_path)
    assert bundle.subject({"page": "train/second", "stage": "stable"}) == "stable"
    assert bundle.subject({"page": "train/first", "stage": "stable"}) == "train/first/stable"
