"""What a run of a probe has left behind on its way, so that it goes on from there: held-out answers, and saves of GRPO."""

import shutil
from pathlib import Path

from recipes.stage import LOGS

BEFORE = "before.json"  # below logs/: held-out problems, answered before the first step
WHOLE = "whole"  # beside a save: nothing of it lacks


def folder_of(stage_folder: Path) -> Path:
    return stage_folder / LOGS / "saves"


def mark_whole(folder: Path, update: int) -> None:
    (folder / f"checkpoint-{update}" / WHOLE).touch()


def newest(folder: Path) -> str | None:
    """What a kill has left unfinished is removed: TRL would count it among those it keeps."""
    saves = sorted(folder.glob("checkpoint-*"), key=_update)
    for save in saves:
        if not (save / WHOLE).is_file():
            shutil.rmtree(save)
    whole = [save for save in saves if save.is_dir()]
    return str(whole[-1]) if whole else None


def progress(stage_folder: Path) -> int:
    """As a number that only grows: updates of the newest whole save, and one for the answers before them."""
    whole = folder_of(stage_folder).glob(f"checkpoint-*/{WHOLE}")
    return max((_update(file.parent) for file in whole), default=0) + (stage_folder / LOGS / BEFORE).is_file()


def _update(save: Path) -> int:
    return int(save.name.rpartition("-")[2])
