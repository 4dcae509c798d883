"""One checkpoint has one colour wherever it stands on a prove page's report."""

from pathlib import Path
from typing import Any

from recipes.report.proven import checkpoint_of, colours_of
from recipes.report.record import Record
from recipes.report.training import Checkpoint


def asked(kind: str, name: str, made_by: str | None = None, **details: Any) -> Record:
    inputs = {"checkpoint": {"identity": "i", "made_by": made_by}}
    return Record(Path(name), {"page": "prove/it", "stage": name, "do": kind, "inputs": inputs, "details": details})


def export(name: str, colour: int) -> Checkpoint:
    manifest = {"page": "train/it", "stage": f"export_{name}", "do": "export", "fingerprint": "f"}
    return Checkpoint(Record(Path(name), manifest), name, colour, None, None, None)


def test_an_export_has_its_branchs_colour_and_others_have_free_ones() -> None:
    records = [
        asked("evaluate", "evaluate_base"),
        asked("evaluate", "evaluate_mine", "train/it/export_long-f"),
        asked("readiness", "readiness_mine", "train/it/export_long-f"),
        asked("readiness", "readiness_other"),
        asked("probe", "probe_mine_answer_1", "train/it/export_long-f", probe={"arm": "answer", "run": 1}),
    ]
    exports = [export("short", 1), export("long", 2), export("hybrid", 3)]
    assert colours_of(records, exports) == {"base": 4, "mine": 2, "other": 5}


def test_more_checkpoints_than_colours_begin_anew() -> None:
    records = [asked("readiness", f"readiness_c{number}") for number in range(8)]
    assert list(colours_of(records).values()) == [1, 2, 3, 4, 5, 6, 1, 2]


def test_a_probes_run_is_of_its_checkpoint() -> None:
    run = asked("probe", "probe_long_random_random_2", probe={"arm": "random", "run": 2})
    assert checkpoint_of(run) == "long_random"
