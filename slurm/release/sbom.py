"""What software made a checkpoint, as CycloneDX 1.6: once as the records of the stages tell it, once all that is installed where
it is released. No times and no drawn numbers, so that the same environment gives the same bytes."""

import re
import uuid
from collections.abc import Iterable
from functools import cache
from importlib.metadata import Distribution, distributions
from typing import Any

import orjson

NAMESPACE = uuid.UUID("3d6a4d3c-6f0e-5a52-9d52-0f4a7c1f6b11")
MAX_LICENSE_CHARS = 60  # longer ones are the text of a licence, not its name
NOT_PACKAGES = ("python", "commit")  # among the versions of a record


def recorded(manifests: dict[str, dict[str, Any]]) -> bytes:
    """Of all stages on the way: each version of each package, and which stages it was used by."""
    used: dict[tuple[str, str], list[str]] = {}
    commits: dict[str, list[str]] = {}
    for name, manifest in manifests.items():
        for package, version in manifest["software"].items():
            used.setdefault((package, version), []).append(name)
        commits.setdefault(manifest["software"].get("commit", "unknown"), []).append(name)
    components = [
        _component(package, version) | {"properties": [{"name": "midtrain:stage", "value": stage} for stage in sorted(stages)]}
        for (package, version), stages in used.items()
        if package != "commit"
    ]
    properties = [{"name": "midtrain:commit", "value": commit} for commit in sorted(commits)]
    return _document("recorded", components, properties)


@cache
def installed() -> bytes:
    """Of the Python environment that runs this."""
    found = {(dist.name, dist.version): dist for dist in distributions()}
    return _document("released_with", [_component(dist.name, dist.version) | _license(dist) for dist in found.values()], [])


def _component(name: str, version: str) -> dict[str, Any]:
    if name in NOT_PACKAGES:
        return {"type": "platform", "bom-ref": f"{name}@{version}", "name": name, "version": version}
    plain = re.sub(r"[-_.]+", "-", name).lower()
    url = f"pkg:pypi/{plain}@{version.replace('+', '%2B')}"
    return {"type": "library", "bom-ref": url, "name": plain, "version": version, "purl": url}


def _license(dist: Distribution) -> dict[str, Any]:
    """The expression that newer packages carry, else the name that older ones write."""
    told = dist.metadata.json
    expression, name = told.get("license_expression"), told.get("license")
    if expression:
        return {"licenses": [{"expression": expression}]}
    if isinstance(name, str) and len(name) <= MAX_LICENSE_CHARS and "\n" not in name:
        return {"licenses": [{"license": {"name": name}}]}
    return {}


def _document(title: str, components: Iterable[dict[str, Any]], properties: list[dict[str, str]]) -> bytes:
    ordered = sorted(components, key=lambda entry: str(entry["bom-ref"]))
    content = {"metadata": {"component": {"type": "application", "name": f"midtrain {title}"}, "properties": properties}}
    serial = uuid.uuid5(NAMESPACE, orjson.dumps([content, ordered]).decode())
    head = {"bomFormat": "CycloneDX", "specVersion": "1.6", "serialNumber": f"urn:uuid:{serial}", "version": 1}
    return orjson.dumps({**head, **content, "components": ordered}, option=orjson.OPT_INDENT_2 | orjson.OPT_APPEND_NEWLINE)
