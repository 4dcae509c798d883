"""The whole road, small, through the command line: raw pages in, three checkpoints out; killed, resumed, verified, broken."""

import json
import os
import random
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from curation.shards import read_shard
from recipes.manifest import read_manifest

SMALL = (
    "demo_data:stages.sample.num_pages=400",
    "demo_data:stages.sample.num_problems=600",
    "demo_web:stages.classifier.epochs=40",
    "stages.stable.steps=16",
    "stages.stable.lr.warmup_steps=2",
    "stages.decay.steps=6",
    "cadence.checkpoint_every_steps=4",
    "validation_sequences=8",
)
BRANCHES = ("short", "long", "hybrid")


def midtrain(*arguments: str, root: Path, check: bool = True) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "slurm.cli", *arguments, *SMALL, f"root={root}"]
    answer = subprocess.run(command, capture_output=True, text=True)
    assert not check or answer.returncode == 0, answer.stdout + answer.stderr
    return answer


def as_json(*arguments: str, root: Path, check: bool = True) -> dict[str, Any]:
    record: dict[str, Any] = json.loads(midtrain(*arguments, "--json", root=root, check=check).stdout)
    return record


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Results of an undisturbed run."""
    root = tmp_path_factory.mktemp("undisturbed")
    midtrain("run", "train/demo", root=root)
    return root


def folder(root: Path, page: str, stage: str) -> Path:
    [found] = (root / page).glob(f"{stage}-{'[0-9a-f]' * 12}")
    return found


def outputs(root: Path) -> dict[str, str]:
    """Every output file of every finished stage with its hash, from the manifests."""
    found = {}
    for manifest in sorted(root.rglob("manifest.json")):
        for entry in read_manifest(manifest.parent)["outputs"]:
            found[f"{manifest.parent.relative_to(root)}/{entry['path']}"] = entry["sha256"]
    return found


def test_three_checkpoints_and_a_report_come_out(root: Path) -> None:
    assert (root / "train/demo/report.html").read_text().startswith("<!doctype html>")
    for branch in BRANCHES:
        link = root / "train/demo/export" / branch
        assert link.is_symlink()
        assert {"config.json", "generation_config.json", "model.safetensors", "tokenizer.json"} <= {
            f.name for f in link.iterdir()
        }
    weights = {(root / "train/demo/export" / branch / "model.safetensors").read_bytes() for branch in BRANCHES}
    assert len(weights) == 3


def test_exported_checkpoints_load_generate_and_know_their_end(root: Path) -> None:
    import torch
    from transformers import AutoModelForCausalLM, AutoTokenizer

    place = root / "train/demo/export/long"
    model, tokenizer = AutoModelForCausalLM.from_pretrained(place), AutoTokenizer.from_pretrained(place)
    tokens = tokenizer("Question: What is 2 + 2?\nAnswer:", return_tensors="pt")
    made = model.generate(**tokens, max_new_tokens=5, do_sample=False)
    assert made.shape[1] > tokens["input_ids"].shape[1]
    assert torch.isfinite(model(**tokens).logits).all()
    assert model.generation_config.eos_token_id == tokenizer.convert_tokens_to_ids("<|end_of_text|>")
    parity = read_manifest(folder(root, "train/demo", "export_long"))["details"]["parity"]
    assert parity["max_difference"] < 1e-3


def test_the_loss_falls_and_the_rate_is_the_one_asked_for(root: Path) -> None:
    rows = [json.loads(line) for line in (folder(root, "train/demo", "stable") / "metrics.jsonl").read_text().splitlines()]
    assert [row["step"] for row in rows] == list(range(1, 17))
    assert rows[-1]["loss"] < rows[0]["loss"] - 0.5
    assert rows[-1]["lr"] == pytest.approx(3e-3)
    decay = [json.loads(line) for line in (folder(root, "train/demo", "decay_long") / "metrics.jsonl").read_text().splitlines()]
    assert decay[-1]["lr"] < 1e-3 < decay[0]["lr"] <= 3e-3


def test_running_again_does_nothing(root: Path) -> None:
    before = {path: path.stat().st_mtime_ns for path in root.rglob("manifest.json")}
    answer = midtrain("run", "train/demo", root=root)
    assert "stages are done already" in answer.stdout
    assert before == {path: path.stat().st_mtime_ns for path in root.rglob("manifest.json")}


def test_plan_status_and_verify_say_done_in_json(root: Path) -> None:
    plan = as_json("plan", "train/demo", root=root)
    assert {row["state"] for row in plan["stages"]} == {"done"}
    [stable] = [row for row in plan["stages"] if row["stage"] == "stable"]
    assert stable["tokens"] == 16 * 8 * 256
    assert set(stable["epochs"]) == {"demo_web", "demo_qa", "demo_instruction"}
    assert all(value > 0 for value in stable["epochs"].values())
    status = as_json("status", "train/demo", root=root)
    assert status["finished"]
    assert status["done"] == status["total"] == len(plan["stages"])
    verified = as_json("verify", "train/demo", root=root)
    assert verified["unchanged"]
    assert verified["finished"]


def test_what_was_foretold_is_on_record_and_the_next_plan_counts_with_what_was_measured(root: Path) -> None:
    manifest = read_manifest(folder(root, "train/demo", "stable"))
    foretold, checkpoint = manifest["run"]["forecast"], manifest["details"]["checkpoint"]
    size = sum(entry["bytes"] for entry in manifest["outputs"] if entry["path"].startswith(f"{checkpoint}/"))
    assert foretold["checkpoint_bytes"] == pytest.approx(size, rel=0.03)
    assert foretold["mfu_source"] == "assumed by cluster.mfu"
    other_seed = as_json("plan", "train/demo", "seed=77", root=root)
    rows = [row for row in other_seed["stages"] if row["do"] == "train"]
    assert {row["state"] for row in rows} == {"missing"}
    assert all(row["mfu_source"].startswith("measured in train/demo/") for row in rows)


def test_export_copies_the_checkpoints_and_never_over_something(root: Path, tmp_path: Path) -> None:
    midtrain("export", "train/demo", "--to", str(tmp_path / "out"), root=root)
    for branch in BRANCHES:
        copied, made = (place / branch / "model.safetensors" for place in (tmp_path / "out", root / "train/demo/export"))
        assert copied.read_bytes() == made.read_bytes()
    again = midtrain("export", "train/demo", "--to", str(tmp_path / "out"), root=root, check=False)
    assert again.returncode == 2
    assert "exists already" in again.stderr


def test_a_moved_root_is_still_done_and_traced(root: Path, tmp_path: Path) -> None:
    copy = copy_of(root, tmp_path / "moved here")
    assert as_json("status", "train/demo", root=copy)["finished"]
    command = [sys.executable, "-m", "slurm.cli", "trace", "train/demo/decay_long", "--step", "1", "--root", str(copy), "--json"]
    answer = subprocess.run(command, capture_output=True, text=True, check=True)
    assert json.loads(answer.stdout)["run"].startswith(str(copy))
    assert len(json.loads(answer.stdout)["documents"]) >= 8


def test_the_report_of_an_unfinished_page_says_what_is_missing(root: Path, tmp_path: Path) -> None:
    copy = copy_of(root, tmp_path / "runs")
    for stage in ("export_long", "report"):
        shutil.rmtree(folder(copy, "train/demo", stage))
    said = midtrain("report", "train/demo", root=copy).stdout
    assert said.strip().endswith("report_draft.html")
    assert "train/demo/export_long" in (copy / "train/demo/report_draft.html").read_text()


def test_trace_names_the_documents_of_a_batch_from_the_crawl(root: Path) -> None:
    command = [sys.executable, "-m", "slurm.cli", "trace", "train/demo/stable", "--step", "3", "--root", str(root), "--json"]
    answer = subprocess.run(command, capture_output=True, text=True, check=True)
    rows = json.loads(answer.stdout)["documents"]
    assert len({row["sample"] for row in rows}) == 8
    urls = {
        json.loads(line)["url"] for line in (folder(root, "curate/demo_data", "sample") / "truth.jsonl").read_text().splitlines()
    }
    web = [row for row in rows if row["dataset"] == "demo_web"]
    assert web
    assert {row["url"] for row in web} <= urls


def test_curation_keeps_the_good_and_names_why_it_drops_the_rest(root: Path) -> None:
    lines = (folder(root, "curate/demo_data", "sample") / "truth.jsonl").read_text().splitlines()
    truth = {row["url"]: row for row in map(json.loads, lines)}
    final = folder(root, "curate/demo_web", "decontaminate")
    kept = {doc.metadata["url"] for shard in sorted(final.glob("documents/*.parquet")) for doc in read_shard(shard)}
    dropped: dict[str, str] = {}
    for shard in sorted((root / "curate/demo_web").glob("*/dropped/*/*.parquet")):
        for doc in read_shard(shard):
            dropped[doc.metadata["url"]] = shard.parent.name
            assert doc.metadata["dropped_because"]
    read = {url for url, row in truth.items() if not row["lost"]}
    assert kept | dropped.keys() == read
    assert not kept & dropped.keys()
    good = {url for url in read if truth[url]["quality"] == "good"}
    assert len(kept & good) > 0.97 * len(kept)
    between = {url for url in read if truth[url]["kind"] == "between"}  # half mathematics: the threshold decides
    assert between & kept
    assert any(dropped.get(url) == "math_classifier" for url in between)
    scored = read_manifest(folder(root, "curate/demo_web", "math"))["counts"]
    assert sum(scored["scores"]["math_score"].values()) == scored["documents_in"]
    assert len(scored["scores"]["math_score"]) >= 6
    clear = good - between
    wrongly = {url for url in clear - kept if dropped[url] not in ("exact_duplicate", "near_duplicate", "contaminated")}
    assert len(wrongly) < 0.1 * len(clear)
    leaks = {url: row["leak"]["edit"] for url, row in truth.items() if row["leak"] and url in read}
    caught = {url for url in leaks if dropped.get(url) == "contaminated"}
    assert caught
    assert not {url for url, edit in leaks.items() if edit == "verbatim"} & kept
    assert {url for url, reason in dropped.items() if reason == "contaminated"} <= leaks.keys()


def test_dropped_documents_carry_the_evidence(root: Path) -> None:
    shards = sorted(folder(root, "curate/demo_web", "decontaminate").glob("dropped/contaminated/*.parquet"))
    evidence = [doc.metadata["contamination"] for shard in shards for doc in read_shard(shard)]
    assert evidence
    assert all(row["benchmark"].startswith("demo_") and row["matched"] for row in evidence)
    assert all(row["coverage"] >= 0.5 or row["in_order"] >= 0.8 for row in evidence)
    shards = sorted(folder(root, "curate/demo_web", "dedup").glob("dropped/near_duplicate/*.parquet"))
    assert all(doc.metadata["jaccard"] >= 0.75 for shard in shards for doc in read_shard(shard))


def test_damage_in_the_crawl_is_counted_by_type_and_named(root: Path) -> None:
    manifest = read_manifest(folder(root, "curate/demo_web", "extract"))
    assert manifest["counts"]["unreadable"]["files"] == {"empty_file": 1}
    assert manifest["names"]["files/empty_file"] == ["crawl-00008.warc.gz"]
    assert manifest["counts"]["unreadable"]["records"]["truncated_record"] >= 1
    records = read_manifest(folder(root, "curate/demo_qa", "format"))["counts"]
    assert records["unreadable"]["records"]["invalid_utf8"] >= 1
    assert records["duplicate_ids"] >= 1


def copy_of(root: Path, place: Path) -> Path:
    shutil.copytree(root, place, symlinks=True)
    return place


def test_verify_names_a_changed_file(root: Path, tmp_path: Path) -> None:
    copy = copy_of(root, tmp_path / "runs")
    weights = folder(copy, "train/demo", "export_short") / "hf" / "model.safetensors"
    content = bytearray(weights.read_bytes())
    content[len(content) // 2] ^= 1
    weights.write_bytes(bytes(content))
    answer = midtrain("verify", "train/demo", root=copy, check=False)
    assert answer.returncode == 1
    assert "hf/model.safetensors (content changed)" in answer.stderr


def test_what_was_trained_is_released_and_verified_from_the_bundle_alone(root: Path, tmp_path: Path) -> None:
    midtrain("release", "train/demo", "--to", str(tmp_path), root=root)
    for branch in BRANCHES:
        verify = [sys.executable, "-m", "slurm.cli", "verify", str(tmp_path / branch), "--json"]
        record = json.loads(subprocess.run(verify, capture_output=True, text=True, check=True).stdout)
        assert record["unchanged"]
        assert record["released_without"] == []
        weights = (folder(root, "train/demo", f"export_{branch}") / "hf" / "model.safetensors").read_bytes()
        assert (tmp_path / branch / "model.safetensors").read_bytes() == weights


def test_too_much_unreadable_fails_the_stage_and_publishes_nothing(root: Path, tmp_path: Path) -> None:
    copy = copy_of(root, tmp_path / "runs")
    shutil.rmtree(folder(copy, "curate/demo_qa", "format"))
    answer = midtrain("run", "train/demo", "demo_qa:max_unreadable_records=0.001", root=copy, check=False)
    assert answer.returncode == 1
    assert "could not be read, above max_unreadable_records=0.001" in answer.stdout + answer.stderr
    assert "qa.jsonl" in answer.stdout + answer.stderr
    assert not (folder(copy, "curate/demo_qa", "format") / "manifest.json").exists()


@pytest.fixture
def processes() -> Iterator[list[subprocess.Popen[bytes]]]:
    started: list[subprocess.Popen[bytes]] = []
    yield started
    for process in started:
        process.kill()
        process.wait()


def test_killed_at_random_moments_the_run_ends_with_the_same_bytes(
    root: Path, tmp_path: Path, processes: list[subprocess.Popen[bytes]]
) -> None:
    """SIGKILL at random moments of curation and of training, to the command alone or to its whole process group; then one run."""
    command = [sys.executable, "-m", "slurm.cli", "run", "train/demo", *SMALL, f"root={tmp_path}"]
    moments = random.Random(int(os.environ.get("KILL_SEED", "7")))
    kills = 0
    while kills < 8:
        process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, start_new_session=True)
        processes.append(process)
        time.sleep(moments.uniform(2.0, 9.0))
        if process.poll() is not None:
            break
        os.killpg(process.pid, signal.SIGKILL) if kills % 2 else process.kill()
        process.wait()
        kills += 1
        for manifest in tmp_path.rglob("manifest.json"):
            recorded = {entry["path"]: entry["bytes"] for entry in read_manifest(manifest.parent)["outputs"]}
            assert all((manifest.parent / path).stat().st_size == size for path, size in recorded.items())
    assert kills >= 3
    midtrain("run", "train/demo", root=tmp_path)
    assert as_json("verify", "train/demo", root=tmp_path)["unchanged"]
    undisturbed, resumed = outputs(root), outputs(tmp_path)
    reports = {path for path in undisturbed if path.endswith("report.html")}  # it tells when and how often stages ran
    assert undisturbed.keys() == resumed.keys()
    assert {path for path in undisturbed.keys() - reports if undisturbed[path] != resumed[path]} == set()


def test_sigterm_is_an_interruption_that_goes_on_later(root: Path, tmp_path: Path) -> None:
    copy = copy_of(root, tmp_path / "runs")
    for stage in ("decay_long", "export_long", "report"):
        shutil.rmtree(folder(copy, "train/demo", stage))
    command = [sys.executable, "-m", "slurm.cli", "run", "train/demo", *SMALL, f"root={copy}"]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    while not list(copy.glob("train/demo/decay_long-*/metrics.jsonl")) and process.poll() is None:
        time.sleep(0.05)
    process.send_signal(signal.SIGTERM)
    said, _ = process.communicate(timeout=120)
    assert process.returncode == 75, said
    assert "the same command goes on from here" in said
    midtrain("run", "train/demo", root=copy)
    before, after = outputs(root), outputs(copy)
    assert {path for path in before if before[path] != after[path] and not path.endswith("report.html")} == set()
