"""What a train page asks for before one of its checkpoints is released. No part of any stage: asking for more remakes nothing."""

from typing import Literal

from recipes.schema.base import Name, Share, Strict

Certificate = Literal["contamination", "resume", "parity"]


class Release(Strict):
    """`certificates` that must be there, be of what is released, and have passed; the limits that decide the last."""

    certificates: tuple[Certificate, ...] = ("contamination", "resume", "parity")
    min_canary_recall: Share = 0.95  # of planted benchmark questions that the detector must have found, of each of these kinds
    canary_kinds: tuple[Name, ...] = ("verbatim", "white_space", "latex")  # the same words, so that to miss one is a fault
    license: Name | None = None  # of the released model, for its card
