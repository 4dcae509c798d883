"""A small finished road for the report's tests: two datasets, a stable stage, three branches, their checkpoints, made
with the functions that real stages use."""

import json
import math
import shutil
from pathlib import Path
from typing import Any

from report_files import (
    HOSTILE,
    HOSTILE_LATEX,
    LATEX,
    UNDRAWABLE,
    at_thresholds,
    change,
    example,
    passed,
    write_documents,
    write_table,
)

from recipes.fingerprint import fingerprint
from recipes.manifest import publish
from recipes.stage import Input, Stage, write_stage

BRANCHES = {"short": 2.31, "long": 2.2875, "hybrid": 2.294}
STEPS, TOKENS_PER_STEP = {"stable": 120, "decay": 40}, 4096


class Road:
    """Stages in the order of work, under a root that may lie anywhere."""

    def __init__(self, root: Path):
        self.root = root
        self.stages: list[Stage] = []

    @property
    def folders(self) -> list[Path]:
        return [stage.folder for stage in self.stages]

    def stage(self, page: str, name: str, do: str, room: str, *, params: dict[str, Any] | None = None, **needs: Stage) -> Stage:
        """Writes a stage's recipe. `needs` are by role, with `__` for a slash."""
        inputs = {r.replace("__", "/"): Input(str(s.folder), s.fingerprint, str(s.folder)) for r, s in needs.items()}
        identities = {role: entry.identity for role, entry in inputs.items()}
        identity = fingerprint(do=do, version=1, params={"page": page, **(params or {})}, inputs=identities)
        folder = self.root / page / f"{name}-{identity}"
        stage = Stage(page, name, room, do, 1, params or {}, inputs, {"cluster": {"device": "cpu"}}, identity, folder)
        write_stage(stage)
        self.stages.append(stage)
        return stage

    def finish(self, stage: Stage, counts: dict[str, Any], **more: Any) -> Stage:
        (stage.folder / "out.txt").write_text(stage.name)
        publish(stage, counts=counts, started=1_700_000_000.0, **more)
        change(stage.folder, started="2026-01-05T10:00:00+00:00", ended="2026-01-05T10:02:05+00:00", seconds=125.0)
        return stage

    # ------------------------------------------------------------------------------------------------ curation

    def web(self) -> Stage:
        page = "curate/demo_web"
        extract = self.finish(
            self.stage(page, "extract", "extract", "curation"),
            {
                **passed(3000, 90_000_000, 2700, 5_400_000),
                "files": 9,
                "records": 3050,
                "skipped": {"status_404": 40, "type_application/pdf": 10},
                "unreadable": {"files": {"empty_file": 1}, "records": {"corrupt_gzip": 2}},
                "duplicate_ids": 3,
                "dropped": {"extract_too_short": {"documents": 300, "characters": 4_000_000}},
            },
            names={
                "files/empty_file": ["crawl-00008.warc.gz"],
                "records/corrupt_gzip": ["crawl-00003.warc.gz"],
                "duplicate_ids": ["crawl-00001.warc.gz"],
            },
            examples={
                "kept": [example("u1", LATEX)],
                "dropped/extract_too_short": [example("u2", "404", why="extract_too_short")],
            },
        )
        clean, classifier = self._filtered(page, extract), self._classifier(page)
        math = self.finish(
            self.stage(page, "math", "filter", "curation", documents=clean, model__math_classifier=classifier),
            {
                **passed(1800, 4_000_000, 900, 2_200_000),
                "dropped": {"math_classifier": {"documents": 900, "characters": 1_800_000}},
                "scores": {"math_score": {"0.5": 60, "0.6": 80, "0.7": 110, "0.8": 190, "0.9": 460}},
            },
        )
        return self._dataset_end(page, math, 900, 2_200_000, dropped=(60, 40), tokens=500_000, leaks=20)

    def _filtered(self, page: str, extract: Stage) -> Stage:
        """A filter with its features, and documents that it kept and dropped."""
        features = self.stage(page, "clean_features", "features", "curation", documents=extract)
        scores = {"id": [f"u{i}" for i in range(40)], "language_score": [i / 40 for i in range(40)], "num_words": list(range(40))}
        write_table(features.folder / "features" / "00000.parquet", scores)
        self.finish(features, {"documents_in": 2700, "characters_in": 5_400_000})
        filtering = self.stage(
            page,
            "clean",
            "filter",
            "curation",
            params={"filters": {"language": {"min_score": 0.65}}},
            documents=extract,
            features=features,
        )
        write_documents(filtering.folder / "documents" / "00000.parquet", [LATEX, UNDRAWABLE, HOSTILE_LATEX], "kept")
        repeated = [f"Again and again, {i} times." for i in range(9)]
        write_documents(filtering.folder / "dropped" / "repetition" / "00000.parquet", repeated, "repeated")
        write_documents(
            filtering.folder / "dropped" / "language" / "00000.parquet",
            [HOSTILE] * 3,
            "dropped",
            dropped_because="other_language",
            language="xx",
            language_score=0.31,
        )
        return self.finish(
            filtering,
            {
                **passed(2700, 5_400_000, 1800, 4_000_000),
                "dropped": {
                    "language": {"documents": 500, "characters": 800_000},
                    "repetition": {"documents": 400, "characters": 600_000},
                },
                "details": {"repetition": {"duplicate_lines": 277, "top_2gram": 123}},
            },
            examples={"kept": [example("u1", LATEX)], "dropped/language": [example("u3", HOSTILE, why="language")]},
        )

    def _classifier(self, page: str) -> Stage:
        return self.finish(
            self.stage(page, "classifier", "train_classifier", "curation"),
            {},
            details={
                "counts": {"rows": 1600, "training": 1440, "held_out": 160},
                "positive_share": 0.5,
                "at_thresholds": at_thresholds(0.80),
                "average_precision": 0.987654,
                "calibration": {
                    "bins": [
                        {"mean_score": t / 10, "positive_share": t / 11, "positive_share_interval": [t / 12, t / 10]}
                        for t in range(1, 10)
                    ],
                    "expected_calibration_error": 0.0456,
                },
                "chosen": {"target_recall": 0.95, "min_score": 0.4321},
                "out_of_distribution": {"forum_posts": {"average_precision": 0.71, "at_thresholds": at_thresholds(0.60)}},
            },
        )

    def qa(self) -> Stage:
        page = "curate/demo_qa"
        formatted = self.finish(
            self.stage(page, "format", "format", "curation"),
            {
                **passed(1010, 0, 1000, 300_000),
                "files": 1,
                "records": 1010,
                "unreadable": {"records": {"invalid_json": 4, "invalid_utf8": 2}},
                "dropped": {"format_empty_field": {"documents": 10, "characters": 900}},
                "details": {"format_empty_field": {"answer": 10}},
            },
            names={"records/invalid_json": ["qa.jsonl"], "records/invalid_utf8": ["qa.jsonl"]},
        )
        return self._dataset_end(page, formatted, 1000, 300_000, dropped=(5, 0), tokens=100_000, leaks=7)

    def _dataset_end(
        self, page: str, before: Stage, num: int, size: int, *, dropped: tuple[int, int], tokens: int, leaks: int
    ) -> Stage:
        signatures = self.stage(page, "dedup_signatures", "dedup_signatures", "curation", documents=before)
        self.finish(signatures, {"documents_in": num, "characters_in": size})
        clusters = self.stage(page, "dedup_clusters", "dedup_clusters", "curation", documents=before, signatures=signatures)
        sizes = {"clusters": 26, "cluster_sizes": {"2": 20, "3": 4, "12": 2}}
        self.finish(clusters, {"documents": num, "exact_duplicates": dropped[0], "near_duplicates": dropped[1], **sizes})
        exact, near = dropped
        left, per_document = num - exact - near, size // num
        dedup = self.finish(
            self.stage(page, "dedup", "dedup", "curation", documents=before, clusters=clusters),
            {
                **passed(num, size, left, left * per_document),
                "dropped": {
                    "exact_duplicate": {"documents": exact, "characters": exact * per_document},
                    "near_duplicate": {"documents": near, "characters": near * per_document},
                },
            },
        )
        last = left - leaks
        decontaminated = self.finish(
            self.stage(page, "decontaminate", "decontaminate", "curation", documents=dedup),
            {
                **passed(left, left * per_document, last, last * per_document),
                "dropped": {"contaminated": {"documents": leaks, "characters": leaks * per_document}},
                "details": {"contaminated": {"demo_problems": leaks}},
            },
            details={
                "benchmarks": {"demo_problems": {"items": 200, "indexed": 187, "unmatched_too_short": 13}},
                "ngram": 10,
                "ngrams": 7000,
            },
            examples={"dropped/contaminated": [example("u9", LATEX, why="demo_problems")]},
        )
        shards = self.stage(page, "tokenize_shards", "tokenize_shards", "curation", documents=decontaminated)
        self.finish(shards, {"documents_in": last, "characters_in": tokens * 4})
        tokenize = self.stage(page, "tokenize", "tokenize", "curation", shards=shards)
        return self.finish(
            tokenize,
            {
                "documents": {"train": last - 30, "validation": 30},
                "duplicate_ids": 0,
                "longest_document": 1812,
                "tokens": {"train": tokens - 5000, "validation": 5000},
            },
            details={"dtype": "uint16", "vocab_size": 4096, "eos_id": 1, "tokenizer_sha256": "bdb80f35"},
        )

    # ------------------------------------------------------------------------------------------------ training

    def train(
        self,
        name: str,
        blend: dict[str, float],
        datasets: dict[str, Stage],
        init: Stage | None = None,
        end: float = 2.6,
    ) -> Stage:
        begin, steps = (8.3, STEPS["stable"]) if init is None else (2.6, STEPS["decay"])
        needs = {f"dataset__{key}": datasets[key] for key in blend} | ({"init": init} if init else {})
        params = {"blend": blend, "lr": {"schedule": "constant", "peak": 3e-3}, "steps": steps}
        stage = self.stage("train/demo", name, "train", "pretrain", params=params, **needs)
        lines = []
        for step in range(1, steps + 1):
            noise = 0.04 * math.sin(step * 12.9898 + len(name))
            loss = end + (begin - end) * math.exp(-5 * step / steps) + noise
            lr = 3e-3 * (min(1, step / 10) if init is None else 1 - 0.9 * step / steps)
            row = {"step": step, "loss": loss, "grad_norm": 1.0, "lr": lr, "tokens_seen": step * TOKENS_PER_STEP}
            lines.append(json.dumps(row))
        (stage.folder / "metrics.jsonl").write_text("\n".join(lines) + "\n")
        tokens = steps * TOKENS_PER_STEP
        ledger = [
            {
                "dataset": key,
                "asked_share": part,
                "delivered_share": part,
                "delivered_tokens": round(part * tokens),
                "dataset_tokens": 100_000,
                "epochs": part * tokens / 100_000,
                "documents_touched": 640 + i,
            }
            for i, (key, part) in enumerate(blend.items())
        ]
        details = {
            "loss": {"first": begin, "last": end},
            "validation": {"web": end + 0.02, "qa": end + (0.2 if name == "decay_long" else 0.1)},
            "ledger": ledger,
            "parameters": 1_234_567,
            "tokens_per_second": 21_340.5,
            "checkpoint": f"checkpoints/step_{steps:08d}",
            "resume": {"verdict": "same", "restarts": 1 if init is None else 0},
        }
        return self.finish(stage, {"steps": steps, "tokens": tokens}, details=details)

    def export(self, branch: str, checkpoint: Stage) -> Stage:
        params = {"dtype": "float32", "max_logit_difference": 1e-3}
        stage = self.stage("train/demo", f"export_{branch}", "export", "pretrain", params=params, checkpoint=checkpoint)
        parity = {
            "dtype": "float32",
            "max_difference": 3.1e-5,
            "cases": {"random_64": 3.1e-5},
            "tokenizer_agrees": True,
            "generated": [1, 2],
        }
        return self.finish(stage, {"parameters": 1_234_567, "tensors": 56}, details={"parity": parity})


def make_road(root: Path) -> Road:
    """Everything finished."""
    road = Road(root)
    datasets = {"demo_web": road.web(), "demo_qa": road.qa()}
    stable = road.train("stable", {"demo_web": 0.8, "demo_qa": 0.2}, datasets)
    for branch, loss in BRANCHES.items():
        web = {"short": 0.5, "long": 0.7, "hybrid": 0.6}[branch]
        trained = road.train(f"decay_{branch}", {"demo_web": web, "demo_qa": round(1 - web, 1)}, datasets, stable, loss)
        road.export(branch, trained)
    return road


def report_stage(road: Road) -> Stage:
    inputs = {f"{s.page}/{s.name}": Input(str(s.folder), s.fingerprint, str(s.folder)) for s in road.stages}
    folder = road.root / "train/demo" / "report-0123456789ab"
    shutil.rmtree(folder, ignore_errors=True)
    stage = Stage("train/demo", "report", "recipes", "report", 1, {}, inputs, {"cluster": {}}, "0123456789ab", folder)
    write_stage(stage)
    return stage
