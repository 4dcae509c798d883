"""A bundle as it lies on the disk: the Hugging Face folder, and beside it what proves where it is from.

config.json, model.safetensors, tokenizer.json, …   the model: transformers loads the folder as it is
README.md                                           the model card, with the data card
release.json                                        which end of which page, what was asked for, what it lacks
manifests/PAGE/STAGE-FINGERPRINT.json               the record of every stage on the way
certificates/…                                      as each kind leaves them
sbom/recorded.cdx.json, sbom/released_with.cdx.json
SHA256SUMS, SEAL, and a signature where one was asked for
"""

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import orjson

from recipes.fingerprint import fingerprint
from recipes.schema.release import Release

CARD, RECORD, MANIFESTS = "README.md", "release.json", "manifests"
HF = "hf/"  # in front of the model's files among the outputs of an export


@dataclass(frozen=True)
class Flaw:
    """What is wrong with one certificate. `subject`: the dataset or stage that it is of."""

    certificate: str
    subject: str
    reason: str

    @property
    def name(self) -> str:
        return f"{self.certificate}/{self.subject}"


@dataclass(frozen=True)
class Bundle:
    """Reads the files of a bundle, or of one in the making, and nothing else."""

    folder: Path

    @cached_property
    def record(self) -> dict[str, Any]:
        return self.json(RECORD)

    @property
    def asked(self) -> Release:
        return Release.model_validate(self.record["asked"])

    @cached_property
    def manifests(self) -> dict[str, dict[str, Any]]:
        """By PAGE/STAGE-FINGERPRINT, in the order of work."""
        return {name: self.json(f"{MANIFESTS}/{name}.json") for name in self.record["stages"]}

    @property
    def export(self) -> dict[str, Any]:
        return self.manifests[self.record["made_by"]]

    @property
    def weights(self) -> dict[str, str]:
        """sha256 of the model's files, as the export wrote them."""
        return {entry["path"].removeprefix(HF): entry["sha256"] for entry in self.export["outputs"]}

    def made(self, do: str) -> dict[str, dict[str, Any]]:
        return {name: manifest for name, manifest in self.manifests.items() if manifest["do"] == do}

    def subject(self, manifest: dict[str, Any]) -> str:
        """A stage's name; of another page, whose export this one began from, with its page."""
        stage = str(manifest["stage"])
        return stage if manifest["page"] == self.record["page"] else f"{manifest['page']}/{stage}"

    def blended(self) -> dict[str, str]:
        """PAGE/STAGE-FINGERPRINT of the tokens of every dataset that was trained on, by its name. Two stages of one page read
        the same ones."""
        return {
            dataset: manifest["inputs"][f"dataset/{dataset}"]["made_by"]
            for manifest in self.made("train").values()
            for dataset in manifest["params"]["blend"]
        }

    def json(self, path: str) -> dict[str, Any]:
        """ValueError if it is missing or damaged."""
        try:
            content: dict[str, Any] = orjson.loads((self.folder / path).read_bytes())
        except (OSError, orjson.JSONDecodeError) as error:
            raise ValueError(f"{path} cannot be read: {error}") from None
        return content


def broken_links(bundle: Bundle) -> Iterator[str]:
    """Where the chain from the weights back to the sources does not hold: a stage's identity is a hash of what it did and of the
    identities of what it read, so that no record on the way can be another one."""
    for name, manifest in bundle.manifests.items():
        identities = {role: entry["identity"] for role, entry in manifest["inputs"].items()}
        identity = fingerprint(do=manifest["do"], version=manifest["version"], params=manifest["params"], inputs=identities)
        if name != f"{manifest['page']}/{manifest['stage']}-{identity}" or manifest["fingerprint"] != identity:
            yield f"{MANIFESTS}/{name}.json is not the record of that stage: what it tells is of fingerprint {identity}"
        for role, entry in manifest["inputs"].items():
            made_by = entry["made_by"]
            if made_by is None:
                continue
            if made_by not in bundle.manifests:
                yield f"{MANIFESTS}/{made_by}.json, which {name} reads as {role}, is not there"
            elif entry["identity"].split("/")[0] != made_by.rpartition("-")[2]:
                yield f"{name} says that it read {entry['identity']} as {role}, and that {made_by} made it"
