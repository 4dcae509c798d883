"""Steps whose checkpoints are kept for ever, because other stages begin after them: `run.branch_points` of recipe.yaml."""

import logging
from pathlib import Path

from recipes.stage import BRANCH_POINTS, RECIPE, read_stage

log = logging.getLogger(__name__)


class BranchPoints:
    """Who plans a branch while the stage is trained adds its moment to recipe.yaml (`recipes.stage.ask_to_keep`): the file is
    looked at in every step, and read when it has changed. By the first process alone."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.steps: frozenset[int] = frozenset()
        self.read_as: tuple[int, int] | None = None
        self.told = ""

    def now(self) -> frozenset[int]:
        """Where the file cannot be read, what was known before: training does not end for that. It is told once."""
        try:
            state = (self.folder / RECIPE).stat()
            if (state.st_mtime_ns, state.st_ino) != self.read_as:
                self.steps = frozenset(int(step) for step in read_stage(self.folder).run.get(BRANCH_POINTS, ()))
                self.read_as = (state.st_mtime_ns, state.st_ino)
            self.told = ""
        except Exception as error:  # whatever somebody has written there
            if str(error) != self.told:
                log.warning("%s cannot be read (%s): branch points stay %s", RECIPE, error, sorted(self.steps))
            self.told = str(error)
        return self.steps
