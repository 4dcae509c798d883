"""The resume certificate: in how many segments a stage was trained, why each ended, and whether going on changed anything.

Two proofs. When a checkpoint is loaded, the digest of what was loaded is compared with the one taken when it was saved. And steps
that are done a second time, because they lay behind the checkpoint, must give the figures that they gave the first time: rows
that are taken off `metrics.jsonl` and validation's journals are kept in `logs/redone.jsonl` and compared when the stage ends.
"""

import json
import os
from pathlib import Path
from typing import Any

from pretrain.metrics import METRICS, ON_THE_WAY, VALIDATION, read_journal, rows_behind, trim
from recipes.stage import write_atomically

SEGMENTS = Path("logs") / "segments.jsonl"
REDONE = Path("logs") / "redone.jsonl"
WENT_BACK = "went back"
KILLED = "killed without a word (SIGKILL, power, or out of memory)"
JOURNALS = (METRICS, VALIDATION, ON_THE_WAY)
MAX_LISTED = 10


def begin_segment(folder: Path, **facts: Any) -> None:
    """`step`: that it begins after; `layout`; `loaded`: a checkpoint's name or None; `digest`: "same", "not same: ...", ..."""
    _append(folder / SEGMENTS, {"event": "begin", **facts})


def damaged(folder: Path, checkpoint: str, why: list[str]) -> None:
    """A checkpoint that the next segment did not begin from, though it is newer. Told before it is set aside."""
    _append(folder / SEGMENTS, {"event": "damaged", "checkpoint": checkpoint, "why": why})


def end_segment(folder: Path, step: int | None, reason: str) -> None:
    _append(folder / SEGMENTS, {"event": "end", "step": step, "reason": reason})


def keep_rows(folder: Path, after: int) -> None:
    """Those behind the step that training goes on after: what they tell is done again. What is measured before the first step is
    measured again, too."""
    for journal in JOURNALS:
        for row in rows_behind(folder / journal, after or -1):
            _append(folder / REDONE, row)


def forget_rows(folder: Path, after: int) -> None:
    """Of steps that a guard's rewind has made unmade."""
    rows = read_journal(folder / REDONE)
    kept = [row for row in rows if row["step"] <= after]
    if len(kept) < len(rows):
        write_atomically(folder / REDONE, b"".join(json.dumps(row).encode() + b"\n" for row in kept))


def certificate(folder: Path) -> dict[str, Any]:
    """`verdict`: "same"; "not same" with `differences` that say where; or "not compared", where a checkpoint was loaded under
    another layout, so that nothing tells whether its state is the same."""
    segments = _segments(folder)
    final = {_of(row): row for journal in JOURNALS for row in read_journal(folder / journal)}
    redone = read_journal(folder / REDONE)
    differences = [
        f"before step {segment['from_step'] + 1}: {segment['digest'].removeprefix('not same: ')} of {segment['loaded']} differ "
        "from what was saved"
        for segment in segments
        if segment["digest"].startswith("not same")
    ]
    for row in redone:
        now = final.get(_of(row))
        if now is None:
            continue  # of a validation on the way, which another cadence did not ask for the second time
        names = dict.fromkeys([*row, *now])
        changed = [f"{name} was {row.get(name)!r}, is {now.get(name)!r}" for name in names if row.get(name) != now.get(name)]
        if changed:
            where = f", validation {row['name']}" if "name" in row else ""
            differences.append(f"step {row['step']}{where}: {', '.join(changed)}")
    is_compared = not any(segment["digest"].startswith("not compared") for segment in segments)
    return {
        "verdict": "not same" if differences else "same" if is_compared else "not compared",
        "differences": differences[:MAX_LISTED],
        "num_differences": len(differences),
        "redone_steps": sum("name" not in row for row in redone),
        "restarts": sum(not segment["ended"].startswith(WENT_BACK) for segment in segments[:-1]),
        "segments": segments,
    }


def _of(row: dict[str, Any]) -> tuple[int, str | None]:
    """What a row is about: a step, or a validation after it."""
    return row["step"], row.get("name")


def _segments(folder: Path) -> list[dict[str, Any]]:
    """`damaged`: the checkpoints that each one passed over, with why."""
    segments: list[dict[str, Any]] = []
    passed: dict[str, list[str]] = {}  # one that was told and, killed in that moment, not set aside is told again
    for row in read_journal(folder / SEGMENTS):
        event = row.pop("event")
        if event == "damaged":
            passed[row["checkpoint"]] = row["why"]
        elif event == "begin":
            row["from_step"] = row.pop("step")
            found = [{"checkpoint": name, "why": why} for name, why in passed.items()]
            segments.append({**row, "damaged": found, "to_step": None, "ended": KILLED})
            passed = {}
        elif segments:
            segments[-1] |= {"to_step": row["step"], "ended": row["reason"]}
    return segments


def _append(file: Path, row: dict[str, Any]) -> None:
    file.parent.mkdir(parents=True, exist_ok=True)
    trim(file)
    with open(file, "ab") as stream:
        stream.write(json.dumps(row).encode() + b"\n")
        stream.flush()
        os.fsync(stream.fileno())
