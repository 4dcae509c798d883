"""Contamination certificates: each dataset of a blend was compared with benchmarks, and the detector finds what is planted."""

import hashlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import orjson

from slurm.release.bundle import Bundle, Flaw
from slurm.release.lineage import Lineage

CERTIFICATE = "certificate.json"  # as its stage names it
PLANTED = "canaries_questions"


def file_of(page: str) -> str:
    """Where the certificate of a page lies in a bundle, as its stage left it."""
    return f"certificates/contamination/{page.removeprefix('curate/')}.json"


def files(lineage: Lineage) -> dict[str, Path]:
    there = [stage for stage in lineage.certificates if (stage.folder / CERTIFICATE).is_file()]
    return {file_of(stage.page): stage.folder / CERTIFICATE for stage in there}


def flaws(bundle: Bundle) -> Iterator[Flaw]:
    certified = {manifest["inputs"]["tokens"]["made_by"]: manifest for manifest in bundle.made("certificate").values()}
    for dataset, tokens in bundle.blended().items():
        reason = _why_not(bundle, tokens, certified.get(tokens))
        if reason:
            yield Flaw("contamination", dataset, reason)


def _why_not(bundle: Bundle, tokens: str, manifest: dict[str, Any] | None) -> str | None:
    if manifest is None:
        return f"{tokens} has no certificate"
    file = file_of(manifest["page"])
    if not (bundle.folder / file).is_file():
        return "its certificate is missing"
    content = (bundle.folder / file).read_bytes()
    if hashlib.sha256(content).hexdigest() not in {entry["sha256"] for entry in manifest["outputs"]}:
        return "its certificate is not as it was made"
    certificate = orjson.loads(content)
    about, made = certificate["tokens"], bundle.manifests[tokens]
    if about["fingerprint"] != made["fingerprint"] or about["files"] != made["outputs"]:
        return f"its certificate is of other tokens: of {about['fingerprint']}, and {made['fingerprint']} was trained on"
    return _why_weak(certificate, bundle)


def _why_weak(certificate: dict[str, Any], bundle: Bundle) -> str | None:
    """Canaries of the kinds that the page names, and that the detector missed too many of."""
    asked = bundle.asked
    planted = certificate.get(PLANTED, {})
    recalls = {kind: planted[kind]["removed"] for kind in asked.canary_kinds if kind in planted}
    if not recalls:
        return f"no canaries of {', '.join(asked.canary_kinds)} were planted, so nothing tells what its detector finds"
    low = [f"{recall:.1%} of {kind}" for kind, recall in recalls.items() if recall < asked.min_canary_recall]
    if low:
        limit = f"{asked.min_canary_recall:.1%} (release.min_canary_recall)"
        return f"of planted benchmark questions its detector found {', '.join(low)}; the page asks for {limit}"
    return None
