"""How answers were graded, stage by stage, and how often k samples of a question hold a right one."""

from collections.abc import Sequence

from recipes.report.contamination import Table
from recipes.report.record import Record

TROUBLE = ("timeout", "crash", "no_answer", "too_long")


def read_grades(records: Sequence[Record]) -> list[Table]:
    """Tables of one dataset; none where nothing was graded."""
    graded = [record for record in records if record.tree("counts", "grades")]
    grades = Table("Answers graded by math-verify and as text", "stage", ["correct", "wrong", "disputed", *TROUBLE], [])
    grades.rows.extend((record.stage, _grades(record)) for record in graded)
    tables = [table for record in records if record.do == "pass_at_k" if (table := _pass_at_k(record)).rows]
    return [grades, *tables] if graded else tables


def _grades(record: Record) -> list[int]:
    """`disputed`: one grader said right, the other wrong."""
    numbers = record.numbers("counts", "grades")
    disputed = sum(record.numbers("counts", "grades", "disputed").values())
    trouble = record.numbers("counts", "grades", "trouble")
    return [numbers.get("correct", 0), numbers.get("wrong", 0), disputed, *(trouble.get(kind, 0) for kind in TROUBLE)]


def _pass_at_k(record: Record) -> Table:
    rows = []
    for k in record.tree("details", "pass_at_k"):
        row = record.numbers("details", "pass_at_k", k)
        if {"mean", "low", "high", "prompts"} <= row.keys():
            rows.append((f"pass@{k}", [(row["mean"], row["low"], row["high"]), row["prompts"]]))
    return Table(f"{record.stage.removesuffix('_pass_at_k')}: a right answer among k samples", "k", ["share", "questions"], rows)
