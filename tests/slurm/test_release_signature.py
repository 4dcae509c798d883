"""Signatures of bundles, by ssh-keygen and gpg, and the bill of materials."""

import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path

import orjson
import pytest
from click.testing import CliRunner
from release_world import BRANCH, flip, names, planned, reseal

from slurm.cli import main
from slurm.release import sbom
from slurm.release.make import release
from slurm.release.verify import verify_bundle

needs_ssh = pytest.mark.skipif(shutil.which("ssh-keygen") is None, reason="ssh-keygen is not installed")
needs_gpg = pytest.mark.skipif(shutil.which("gpg") is None, reason="gpg is not installed")


@pytest.fixture(scope="module")
def key(released: Path) -> Path:
    return make_key(released.with_name("key"))


def make_key(file: Path) -> Path:
    subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-C", "", "-f", str(file)], check=True)
    return file


@pytest.fixture(scope="module")
def signed_once(released: Path, key: Path) -> Path:
    return release(planned(released.with_name("runs")), BRANCH, released.with_name("signed"), key=str(key))[0]


@pytest.fixture
def signed(signed_once: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(signed_once, tmp_path / "signed"))


@needs_ssh
def test_a_signature_tells_who_released_it_and_a_flipped_bit_of_it_is_named(signed: Path, key: Path) -> None:
    record = verify_bundle(signed, key.with_suffix(".pub"))
    assert record["unchanged"], record
    assert record["signed"].startswith('Good "midtrain-release" signature for signer with ED25519 key SHA256:')
    file = signed / "SHA256SUMS.sig"
    content = file.read_bytes()
    for place in (0, len(content) // 2, len(content) - 1):
        file.write_bytes(flip(content, place))
        assert verify_bundle(signed)["changed"] == ["SHA256SUMS.sig (content changed, or its line in SEAL)"]
    file.unlink()
    assert verify_bundle(signed)["changed"] == ["SHA256SUMS.sig (missing, or its line in SEAL)"]


@needs_ssh
def test_a_release_is_signed_later_and_the_same_key_signs_the_same_bytes(
    released: Path, signed: Path, bundle: Path, key: Path
) -> None:
    release(planned(released.with_name("runs")), BRANCH, bundle, key=str(key))
    assert verify_bundle(bundle, key.with_suffix(".pub"))["unchanged"]
    assert {name: (bundle / name).read_bytes() for name in names(bundle)} == {
        name: (signed / name).read_bytes() for name in names(signed)
    }


@needs_ssh
def test_new_sums_under_an_old_signature_are_found_out(signed: Path) -> None:
    (signed / "README.md").write_text("A better model.")
    reseal(signed)
    record = verify_bundle(signed)
    assert (record["changed"], record["signed"]) == ([], None)
    assert record["wrong"][0].startswith("SHA256SUMS.sig: ssh-keygen says: ")


@needs_ssh
def test_another_signer_than_the_one_asked_for_is_refused(signed: Path, bundle: Path, tmp_path: Path) -> None:
    other = str(make_key(tmp_path / "other").with_suffix(".pub"))
    answer = CliRunner().invoke(main, ["verify", str(signed), "--signer", other])
    assert answer.exit_code == 1
    assert "wrong: SHA256SUMS.sig: ssh-keygen says: " in answer.stderr
    unsigned = CliRunner().invoke(main, ["verify", str(bundle), "--signer", other])
    assert unsigned.exit_code == 1
    assert "wrong: SHA256SUMS.sig (missing): --signer asks for a signature of other.pub" in unsigned.stderr


@pytest.fixture
def gpg_home(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """A short path: the agent's socket lies in it."""
    with tempfile.TemporaryDirectory() as folder:
        monkeypatch.setenv("GNUPGHOME", folder)
        command = [
            "gpg",
            "--batch",
            "--quiet",
            "--passphrase",
            "",
            "--quick-generate-key",
            "releases@example.org",
            "ed25519",
            "sign",
        ]
        subprocess.run([*command, "never"], check=True, capture_output=True)
        yield
        subprocess.run(["gpgconf", "--kill", "all"], check=True)


@needs_gpg
@pytest.mark.usefixtures("gpg_home")
def test_gpg_signs_with_a_key_that_it_knows_by_name(released: Path, tmp_path: Path) -> None:
    found = planned(released.parent / "runs")
    bundle = release(found, BRANCH, tmp_path / "bundle", key="releases@example.org")[0]
    record = verify_bundle(bundle)
    assert record["unchanged"], record
    assert "releases@example.org" in record["signed"]
    with pytest.raises(ValueError, match="--sign nobody: gpg says: "):
        release(found, BRANCH, tmp_path / "other", key="nobody")
    assert not (tmp_path / "other").exists()


def test_a_program_that_is_not_installed_is_named(released: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shutil, "which", lambda name: None)
    with pytest.raises(ValueError, match="--sign somebody: gpg is not installed"):
        release(planned(released.parent / "runs"), BRANCH, tmp_path / "bundle", key="somebody")


# ------------------------------------------------------------------------------------------------ software


def test_the_bill_of_materials_names_each_version_with_the_stages_made_with_it() -> None:
    manifests = {
        "curate/a/read-1": {"software": {"python": "3.11.7", "pyarrow": "17.0", "commit": "abc"}},
        "train/b/stable-2": {"software": {"python": "3.11.7", "pyarrow": "26.0.1", "torch": "2.13.0+cpu", "commit": "abc"}},
    }
    document = orjson.loads(sbom.recorded(manifests))
    assert (document["bomFormat"], document["specVersion"]) == ("CycloneDX", "1.6")
    assert document["metadata"]["properties"] == [{"name": "midtrain:commit", "value": "abc"}]
    assert {component["bom-ref"]: [row["value"] for row in component["properties"]] for component in document["components"]} == {
        "pkg:pypi/pyarrow@17.0": ["curate/a/read-1"],
        "pkg:pypi/pyarrow@26.0.1": ["train/b/stable-2"],
        "pkg:pypi/torch@2.13.0%2Bcpu": ["train/b/stable-2"],
        "python@3.11.7": ["curate/a/read-1", "train/b/stable-2"],
    }


def test_the_environment_of_the_release_is_listed_with_licences() -> None:
    document = orjson.loads(sbom.installed())
    found = {component["name"]: component for component in document["components"]}
    assert found["click"]["licenses"] == [{"expression": "BSD-3-Clause"}]
    assert found["orjson"]["purl"] == f"pkg:pypi/orjson@{orjson.__version__}"
    references = [component["bom-ref"] for component in document["components"]]
    assert references == sorted(set(references))
