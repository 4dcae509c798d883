"""Kills a rank that asks a language model, when it has kept so many answers."""

import os
import subprocess
import sys
import time
from pathlib import Path

from recipes.stage import Stage

ROOT = Path(__file__).parents[2]


def kill_after(stage: Stage, num_answers: int) -> None:
    """Runs a stage in a process of its own, and ends it with SIGKILL."""
    answers, printed = stage.folder.parent / "answers" / stage.name / stage.fingerprint, stage.folder.with_suffix(".log")
    with open(printed, "wb") as log:
        command = [sys.executable, "-m", "curation.pipeline", str(stage.folder)]
        process = subprocess.Popen(command, cwd=ROOT, stdout=log, stderr=log, env=os.environ | {"OMP_NUM_THREADS": "1"})
    while sum(file.read_bytes().count(b"\n") for file in answers.glob("*.jsonl")) < num_answers:
        assert process.poll() is None, printed.read_text()
        time.sleep(0.005)
    process.kill()
    process.wait()
