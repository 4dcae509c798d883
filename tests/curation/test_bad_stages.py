"""What goes wrong around a stage is named, nothing that is not whole is finished, and running it again puts it right."""

import json
import os
import resource
import subprocess
import sys
from pathlib import Path

import pytest
from click.testing import CliRunner

from curation.pipeline import finish, run_rank
from curation.shards import read_shard
from recipes import exits
from recipes.manifest import rank_file, read_manifest
from recipes.stage import Input, Stage, read_stage, write_stage
from slurm.cli import main
from slurm.plan import Plan, plan, refuse_problems
from tests.curation.bad_files import line

NUM_DOCS = 3_000
ONE_STAGE = ("shards=1", "stages={read: {do: read}}")
# Parts of 500 documents, so that some are whole when the room ends.
RUN = "import curation.parts, sys; curation.parts.PART_DOCUMENTS = 500; from curation.pipeline import main; sys.exit(main())"


def stage(folder: Path, do: str, inputs: dict[str, Input], **params: object) -> Stage:
    limits = {"max_unreadable_records": 0.01, "max_unreadable_files": 0.1}
    made = Stage(
        "curate/x", do, "curation", do, 1, {"shards": 1, **params}, inputs, limits, "0" * 12, folder / f"{do}-{'0' * 12}"
    )
    write_stage(made)
    return made


def read_stage_of(folder: Path, content: bytes) -> Stage:
    """A stage that reads one file."""
    (folder / "raw").mkdir()
    (folder / "raw" / "a.jsonl").write_bytes(content)
    source = {"s": {"format": "jsonl", "columns": {}}}
    return stage(folder, "read", {"source/s": Input(str(folder / "raw"), "raw")}, min_chars=1, sources=source)


def hard_to_pack() -> bytes:
    return b"".join(line(str(n), os.urandom(200).hex()) for n in range(NUM_DOCS))


def files(folder: Path) -> set[str]:
    return {path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file()}


def run(made: Stage, max_file_bytes: int | None = None) -> subprocess.CompletedProcess[str]:
    def limit() -> None:
        if max_file_bytes is not None:
            resource.setrlimit(resource.RLIMIT_FSIZE, (max_file_bytes, max_file_bytes))

    return subprocess.run([sys.executable, "-c", RUN, str(made.folder)], capture_output=True, text=True, preexec_fn=limit)


def test_without_room_nothing_is_finished_and_more_room_is_enough(tmp_path: Path) -> None:
    """A limit on the size of files stands for a full disk: the parts fit, the joined file does not."""
    made = read_stage_of(tmp_path, hard_to_pack())
    answer = run(made, max_file_bytes=300_000)
    assert answer.returncode == exits.NO_ROOM
    assert answer.stderr.splitlines()[-1].startswith(
        f"error: curate/x/read: rank 0 could not write into {made.folder} (File too large)"
    )
    assert not rank_file(made.folder, 0).exists()
    assert not made.is_finished
    assert not [name for name in files(made.folder) if name.startswith("documents/") and not name.endswith(".tmp")]
    assert run(made).returncode == 0
    assert read_manifest(made.folder)["counts"]["documents_out"] == NUM_DOCS
    assert {name for name in files(made.folder) if not name.startswith("logs/")} == {
        "recipe.yaml",
        "manifest.json",
        "documents/00000.parquet",
    }
    assert [doc.id for doc in read_shard(made.folder / "documents" / "00000.parquet")] == [str(n) for n in range(NUM_DOCS)]


def test_a_full_disk_is_named(tmp_path: Path) -> None:
    (tmp_path / "disk").mkdir()
    mount = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=500k", "none", str(tmp_path / "disk")], capture_output=True)
    if mount.returncode:
        pytest.skip("mounting a small file system needs the rights of root")
    try:
        made = read_stage_of(tmp_path, hard_to_pack())
        small = stage(
            tmp_path / "disk", "read", made.inputs, **{key: value for key, value in made.params.items() if key != "shards"}
        )
        answer = run(small)
        assert answer.returncode == exits.NO_ROOM
        assert "(No space left on device); make room and run the page again" in answer.stderr.splitlines()[-1]
        assert not small.is_finished
        assert not rank_file(small.folder, 0).exists()
    finally:
        subprocess.run(["umount", str(tmp_path / "disk")], check=True)


def test_more_damage_than_the_page_allows_publishes_nothing(tmp_path: Path) -> None:
    made = read_stage_of(tmp_path, line("1") + b"broken\n" * 5)
    answer = run(made)
    assert answer.returncode == exits.BAD_DATA
    assert "5 of 6 records could not be read, above max_unreadable_records=0.01: invalid_json 5 (a.jsonl)" in answer.stderr
    assert not made.is_finished


def test_a_limit_that_is_tightened_later_holds_for_finished_stages_too(tmp_path: Path) -> None:
    """It is said by the plan, before anything is queued, and nothing is made again."""
    (tmp_path / "raw.jsonl").write_bytes(b"".join(line(str(n)) for n in range(9)) + b"broken\n")

    def overrides(limit: float) -> tuple[str, ...]:
        source = f"sources={{s: {{format: jsonl, path: {tmp_path}/raw.jsonl}}}}"
        return (f"root={tmp_path}/runs", source, f"max_unreadable_records={limit}", *ONE_STAGE)

    def planned(limit: float) -> Plan:
        return plan("curate/web_files", overrides(limit))

    loose = planned(0.1)
    write_stage(loose.stages[0])
    run_rank(loose.stages[0].folder, 0)
    finish(loose.stages[0].folder)
    tight = planned(0.05)
    assert planned(0.1).problems == []
    assert tight.stages[0].folder == loose.stages[0].folder
    (problem,) = tight.problems
    assert "1 of 10 records could not be read, above max_unreadable_records=0.05: invalid_json 1 (raw.jsonl)" in problem
    with pytest.raises(ValueError, match=r"this cannot run yet:\n.*above max_unreadable_records=0\.05"):
        refuse_problems(tight)
    given = ["curate/web_files", *overrides(0.05)]
    status = CliRunner().invoke(main, ["status", *given])
    assert (status.exit_code, f"before this can run: {problem}" in status.output) == (0, True)
    assert json.loads(CliRunner().invoke(main, ["status", *given, "--json"]).output)["problems"] == [problem]
    answers = [CliRunner().invoke(main, [command, *given]) for command in ("plan", "run")]
    assert [answer.exit_code for answer in answers] == [2, 2]
    assert "are done already" not in answers[1].output


@pytest.mark.parametrize("damage", ["cut", "other", "gone"])
def test_a_shard_that_changed_since_is_named(tmp_path: Path, damage: str) -> None:
    before = read_stage_of(tmp_path, hard_to_pack()[:100_000])
    run_rank(before.folder, 0)
    before_manifest = finish(before.folder)
    shard = before.folder / "documents" / "00000.parquet"
    content = shard.read_bytes()
    if damage == "gone":
        shard.unlink()
    else:
        shard.write_bytes(content[:-20] if damage == "cut" else b"something else")
    after = stage(
        tmp_path, "extract", {"documents": Input(str(before.folder), "x", str(before.folder))}, min_chars=1, max_html_chars=10**6
    )
    with pytest.raises(ValueError, match=rf"{shard} cannot be read .*remove the stage's folder and run its page again"):
        run_rank(after.folder, 0)
    assert not rank_file(after.folder, 0).exists()
    shard.write_bytes(content)
    run_rank(after.folder, 0)
    assert finish(after.folder)["counts"]["documents_in"] == before_manifest["counts"]["documents_out"]


def test_a_stage_whose_input_is_not_finished_does_not_begin(tmp_path: Path) -> None:
    before = read_stage_of(tmp_path, line("1"))
    after = stage(
        tmp_path, "extract", {"documents": Input(str(before.folder), "x", str(before.folder))}, min_chars=1, max_html_chars=9
    )
    with pytest.raises(ValueError, match=r"curate/x/extract: input 'documents' is not finished"):
        run_rank(after.folder, 0)
    assert not (after.folder / "documents").exists()


def test_a_rank_without_any_document_leaves_an_empty_shard(tmp_path: Path) -> None:
    made = read_stage_of(tmp_path, b"")
    run_rank(made.folder, 0)
    assert list(read_shard(made.folder / "documents" / "00000.parquet")) == []
    record = json.loads(rank_file(made.folder, 0).read_bytes())
    assert record["counts"]["unreadable"] == {"files": {"empty_file": 1}}
    assert read_stage(made.folder).is_finished is False
