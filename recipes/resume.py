"""What a resume certificate says against a finished training stage, in one sentence for all who tell it."""

from typing import Any


def doubt(details: Any) -> str:
    """`details`: of a manifest. Empty where going on after an interruption changed nothing, or nothing could be compared."""
    resume = details.get("resume") if isinstance(details, dict) else None
    if not isinstance(resume, dict) or resume.get("verdict") != "not same":
        return ""
    differences = resume.get("differences")
    told = [str(difference) for difference in differences] if isinstance(differences, list) else []
    number = resume.get("num_differences", len(told))
    more = f"; {number} differences in all, see details.resume in manifest.json" if number != 1 else ""
    return f"going on after an interruption changed what it computes: {told[0] if told else 'it is not on record where'}{more}"
