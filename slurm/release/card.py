"""The model card: what was trained on what, how, and what is proven of it. Written from the files of the bundle alone."""

from pathlib import Path
from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined

from recipes.manifest import total_of
from recipes.report import figures
from slurm.release.bundle import Bundle
from slurm.release.contamination import PLANTED
from slurm.release.readiness import concerns

TEMPLATE = "card.md.j2"
FILTERS = ("whole", "short", "share", "decimal", "scientific")


def card(bundle: Bundle) -> str:
    trained = list(bundle.made("train").values())
    environment = Environment(
        loader=FileSystemLoader(Path(__file__).parent), undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True
    )
    environment.filters |= {name: getattr(figures, name) for name in FILTERS} | {"cell": _cell}
    return environment.get_template(TEMPLATE).render(
        record=bundle.record,
        export=bundle.export,
        model=bundle.export["params"]["model"],
        trained=[_training(manifest) for manifest in trained],
        averages=list(bundle.made("average").values()),
        datasets=[_dataset(bundle, name, told) for name, told in bundle.record["datasets"].items()],
        lacks=[f"{row['certificate']}/{row['subject']}: {row['reason']}" for row in bundle.record["released_without"]],
        lacking={row["certificate"] for row in bundle.record["released_without"]},
        kinds=bundle.asked.kinds,
        concerns=concerns(bundle),
        software=_software(bundle),
    )


def _training(manifest: dict[str, Any]) -> dict[str, Any]:
    """One stage: its settings, and a row a dataset of what the blend asked for and delivered."""
    params, details, tokens = manifest["params"], manifest["details"], manifest["counts"]["tokens"]
    rows = [row | {"asked_tokens": round(row["asked_share"] * tokens)} for row in details["ledger"]]
    schedule = {key: value for key, value in params["lr"].items() if value not in (None, 0)}
    return {
        "stage": manifest["stage"],
        "tokens": tokens,
        "params": params,
        "schedule": ", ".join(f"{key} {value}" for key, value in schedule.items()),
        "optimizer": ", ".join(f"{key} {value}" for key, value in params["optimizer"].items()),
        "ledger": rows,
        "before": details.get("validation_before", {}),
        "after": details.get("validation", {}),
        "resume": details.get("resume", {}),
    }


def _dataset(bundle: Bundle, name: str, told: dict[str, Any]) -> dict[str, Any]:
    tokens = bundle.blended()[name]
    counts = bundle.manifests[tokens]["counts"]
    certificates = [m for m in bundle.made("certificate").values() if m["inputs"]["tokens"]["made_by"] == tokens]
    details = certificates[0]["details"] if certificates else {}
    benchmarks, planted = details.get("benchmarks", {}), details.get(PLANTED, {})
    return {
        "name": name,
        "license": told["license"],
        "sources": told["sources"],
        "documents": total_of(counts.get("documents")),
        "tokens": total_of(counts.get("tokens")),
        "tokens_of": tokens,
        "benchmarks": list(benchmarks),
        "recall": {kind: planted[kind]["removed"] for kind in bundle.asked.canary_kinds if kind in planted},
        "items_removed": sum(row.get("items_removed", 0) + row.get("items_masked", 0) for row in benchmarks.values()),
    }


def _software(bundle: Bundle) -> dict[str, list[str]]:
    """Versions of each package that some stage on the way was made with."""
    versions: dict[str, set[str]] = {}
    for manifest in bundle.manifests.values():
        for package, version in manifest["software"].items():
            versions.setdefault(package, set()).add(version)
    return {package: sorted(found) for package, found in sorted(versions.items())}


def _cell(text: Any) -> str:
    """Of a Markdown table, whatever a page's text holds."""
    return str(text).replace("|", "\\|").replace("\n", " ")
