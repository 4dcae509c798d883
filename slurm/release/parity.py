"""The parity certificate: the exported model computes what the trained one did, and these are its files."""

import math
from collections.abc import Iterator
from typing import Any

from slurm.release.bundle import Bundle, Flaw

FILE = "certificates/parity.json"


def certificates(bundle: Bundle) -> dict[str, Any]:
    """By file of the bundle, from the record of the export."""
    export = bundle.export
    if "parity" not in export["details"]:
        return {}
    limit = export["params"]["max_logit_difference"]
    return {
        FILE: {
            "made_by": bundle.record["made_by"],
            "max_logit_difference": limit,
            **export["details"]["parity"],
            "files": bundle.weights,
        }
    }


def flaws(bundle: Bundle) -> Iterator[Flaw]:
    stage = bundle.export["stage"]
    if FILE not in certificates(bundle):
        yield Flaw("parity", stage, "its record has no parity figures; export it again")
        return
    found = certificates(bundle)[FILE]
    difference, limit = found["max_difference"], found["max_logit_difference"]
    if difference is None or not math.isfinite(difference) or difference > limit:
        yield Flaw("parity", stage, f"logits differ by {difference} from the trained model's, allowed are {limit}")
    elif not found["tokenizer_agrees"]:
        yield Flaw("parity", stage, "the exported tokenizer gives other tokens than the one that it was trained with")
