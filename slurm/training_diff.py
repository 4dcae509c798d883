"""Two training runs compared stage by stage: the learning rate they ask for, the data they were given, the losses they had."""

from collections.abc import Mapping
from typing import Any

from pretrain.schedule import first_difference, in_words, learning_rate
from recipes.report.record import Metrics, Record, read_metrics
from recipes.schema import LearningRate
from recipes.stage import Stage

DATASET = "dataset/"
DELIVERED = ("delivered_tokens", "documents_touched", "epochs")


def compare_training(
    one: Mapping[str, Stage], other: Mapping[str, Stage], ones: Mapping[str, Record], others: Mapping[str, Record]
) -> list[dict[str, Any]]:
    """A row for each training stage that both have; `ones` and `others` are the records of those that are finished. Pairs of
    figures are [a, b]."""
    names = [name for name, stage in one.items() if name in other and stage.do == other[name].do == "train"]
    return [
        {
            "stage": name,
            "learning_rate": _learning_rates(one[name], other[name]),
            "data": _data([one[name], other[name]], [ones.get(name), others.get(name)]),
            "losses": _losses(one[name], other[name]),
            "validation": _validation(ones.get(name), others.get(name)),
        }
        for name in names
    ]


def _learning_rates(one: Stage, other: Stage) -> dict[str, Any]:
    """`first_difference`: the first step, and what each runs it with (None: it has ended); None where they are the same."""
    sides = [(LearningRate.model_validate(stage.params["lr"]), int(stage.params["steps"])) for stage in (one, other)]
    step = first_difference(*sides)
    rates = [learning_rate(lr, step, steps) if step and step <= steps else None for lr, steps in sides]
    return {
        "in_words": [in_words(lr, steps) for lr, steps in sides],
        "first_difference": step and {"step": step, "rates": rates},
    }


def _data(stages: list[Stage], records: list[Record | None]) -> list[dict[str, Any]]:
    """Of each dataset: the share asked for, the stage that made it, and what the ledger says was delivered."""
    blends = [stage.params["blend"] for stage in stages]
    ledgers = [{row.get("dataset"): row for row in record.rows("details", "ledger")} if record else {} for record in records]
    rows = []
    for dataset in dict.fromkeys(name for blend in blends for name in blend):
        made = [stage.inputs.get(f"{DATASET}{dataset}") if dataset in blend else None for stage, blend in zip(stages, blends)]
        row = {
            "dataset": dataset,
            "share": [blend.get(dataset) for blend in blends],
            "fingerprint": [entry.identity if entry else None for entry in made],
        }
        rows.append(row | {key: [ledger.get(dataset, {}).get(key) for ledger in ledgers] for key in DELIVERED})
    return rows


def _losses(one: Stage, other: Stage) -> dict[str, Any]:
    """Step by step, as far as both are; of runs under way too."""
    sides = [_metrics(stage) for stage in (one, other)]
    losses = [side.loss if side else [] for side in sides]
    differing = next((step for step, (a, b) in enumerate(zip(*losses), start=1) if a != b), None)
    return {
        "steps": [len(side) for side in losses],
        "first_difference": differing and {"step": differing, "losses": [side[differing - 1] for side in losses]},
        "last": [side[-1] if side else None for side in losses],
    }


def _metrics(stage: Stage) -> Metrics | None:
    return read_metrics(Record(stage.folder, {}))


def _validation(one: Record | None, other: Record | None) -> dict[str, list[Any]]:
    sides = [record.numbers("details", "validation") if record else {} for record in (one, other)]
    return {name: [side.get(name) for side in sides] for name in dict.fromkeys([*sides[0], *sides[1]])}
