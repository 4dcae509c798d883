"""What a train page asks for before one of its checkpoints is released. No part of any stage: asking for more remakes nothing."""

from typing import Literal, Self

from pydantic import model_validator

from recipes.schema.base import Name, Share, Strict

Certificate = Literal["contamination", "resume", "parity", "readiness"]


class Release(Strict):
    """`certificates` that must be there, be of what is released, and have passed; the limits that decide the last."""

    certificates: tuple[Certificate, ...] = ("contamination", "resume", "parity")
    min_canary_recall: Share = 0.95  # of planted benchmark questions that the detector must have found, of each of these kinds
    canary_kinds: tuple[Name, ...] = ("verbatim", "white_space", "latex")  # the same words, so that to miss one is a fault
    license: Name | None = None  # of the released model, for its card
    prove: Name | None = None  # a page of recipes/prove that makes the readiness card, which is then asked for too

    @model_validator(mode="after")
    def _readiness_is_proven_somewhere(self) -> Self:
        if "readiness" in self.certificates and self.prove is None:
            raise ValueError("certificates ask for readiness; name the page that makes the card: prove: prove/NAME")
        return self

    @property
    def kinds(self) -> tuple[str, ...]:
        """Of all certificates that are asked for."""
        return tuple(dict.fromkeys((*self.certificates, *(["readiness"] if self.prove else []))))
