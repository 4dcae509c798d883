"""Whether the files that a stage asks with are still those that were planned."""

from recipes.outside import identity, matching
from recipes.stage import Stage, is_uri


def check_inputs(stage: Stage) -> None:
    """ValueError names a local file from outside that was changed, or taken away: half of the answers would be of another file,
    under the fingerprint of the first. What other stages made never changes, and what is pinned by its address neither."""
    for role, entry in stage.inputs.items():
        if entry.stage is not None or is_uri(entry.location) or is_uri(entry.identity):
            continue
        found = matching(entry.location)
        if not found or identity(found) != entry.identity:
            what = "was changed" if found else "was taken away"
            raise ValueError(
                f"{entry.location} ({role}) {what} since the stage was planned; bring it back, or plan again with: "
                f"midtrain run {stage.page}"
            )
