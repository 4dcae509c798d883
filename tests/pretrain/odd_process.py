"""What may be odd about a process: called in it before it runs a stage. What they set is how a lagging or failing disk looks."""

import errno
import json
import os
from pathlib import Path
from typing import Any


def second_sees_no_record_of_checkpoints(rank: int) -> None:
    from pretrain.checkpoint import files

    if rank == 1:
        files.COMPLETE = "not_there_yet.json"


def second_sees_no_index(rank: int) -> None:
    from pretrain import blend

    if rank == 1:
        blend.BLEND = "not_there_yet.json"


def first_cannot_read_a_checkpoint(rank: int) -> None:
    if rank == 0:
        _fail_to_read("complete")


def second_cannot_hash(rank: int) -> None:
    from pretrain.checkpoint import find

    def fail(path: Path) -> str:
        raise OSError(errno.EIO, os.strerror(errno.EIO), str(path))

    if rank == 1:
        find.file_hash = fail


def first_has_no_room_for(name: str, rank: int) -> None:
    """The disk is full when this file of a checkpoint is written."""
    import torch

    def is_full_for(write: Any) -> Any:
        def attempt(content: Any, file: Any, *rest: Any, **options: Any) -> Any:
            if Path(str(getattr(file, "name", file))).name == name:
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), name)
            return write(content, file, *rest, **options)

        return attempt

    if rank == 0:
        torch.save = is_full_for(torch.save)
        json.dump = is_full_for(json.dump)


def optimizer_raises_a_value_error(rank: int) -> None:
    from pretrain import optim

    def update(*arguments: Any) -> None:
        raise ValueError("optimizer got an empty parameter list")

    optim.update = update


def average_is_counted(folder: Path, rank: int) -> None:
    """Leaves in `folder` how many elements of the average the last checkpoint took in this process' memory."""
    from pretrain.ema import Ema

    whole = Ema.sharded_state

    def counted(self: Ema, model_state: dict[str, Any], *, is_loading: bool) -> dict[str, Any]:
        state = whole(self, model_state, is_loading=is_loading)
        if not is_loading:
            held = sum(entry.data.numel() for entry in state.values())
            (folder / f"held.{rank}").write_text(str(held))
        return state

    Ema.sharded_state = counted  # type: ignore[method-assign]


def _fail_to_read(name: str) -> None:
    from pretrain.checkpoint import files

    def fail(path: Path) -> dict[str, Any]:
        raise OSError(errno.EIO, os.strerror(errno.EIO), str(path))

    setattr(files, name, fail)
