"""The learning rates of a train page over the tokens seen: which stage has which, as figures and drawn with characters."""

from typing import Any

from rich.console import Console
from rich.markup import escape

from pretrain.schedule import in_words, learning_rate
from recipes.schema import AverageParams, TrainParams
from recipes.stage import Stage
from slurm.display import human
from slurm.plan import Plan

NUM_POINTS = 97  # of a curve, its ends among them
HEIGHT, MAX_WIDTH = 3, 100  # of a drawing, in characters
BLOCKS = " ▁▂▃▄▅▆▇█"


def learning_rates(plan: Plan) -> list[dict[str, Any]]:
    """A row for each curve: the stages that share it, tokens seen before its first step, and points (tokens seen, rate)."""
    stages = {str(stage.folder): stage for stage in plan.stages if stage.page == plan.page}
    rows: dict[tuple[Any, ...], dict[str, Any]] = {}
    for stage in (stage for stage in plan.stages if stage.do == "train" and stage.page == plan.page):
        params = TrainParams.model_validate(stage.params)
        first, length = _tokens_before(stage, stages), params.global_batch_size * params.sequence_length
        steps = [1 + (params.steps - 1) * i // (NUM_POINTS - 1) for i in range(NUM_POINTS)]
        row = {
            "stages": [],
            "first_token": first,
            "tokens": params.steps * length,
            "in_words": in_words(params.lr, params.steps),
            "points": [[first + step * length, learning_rate(params.lr, step, params.steps)] for step in dict.fromkeys(steps)],
        }
        rows.setdefault((first, params.steps, params.lr), row)["stages"].append(stage.name)
    return list(rows.values())


def _tokens_before(stage: Stage, stages: dict[str, Stage]) -> int:
    """On the way of its weights since the base, through an average on that of its first member; a stage of another page ends the
    way."""
    params = TrainParams.model_validate(stage.params)
    before, step = stages.get(stage.input("init")), params.init_step
    while before is not None and before.do == "average":
        first = AverageParams.model_validate(before.params).members[0]
        before, step = stages.get(before.input(f"checkpoint/{first.stage}")), first.step
    if before is None:
        return 0
    steps = step or TrainParams.model_validate(before.params).steps
    return _tokens_before(before, stages) + steps * params.global_batch_size * params.sequence_length


def print_learning_rates(console: Console, rows: list[dict[str, Any]]) -> None:
    """Every curve on the same axes, one below the other."""
    if not rows:
        return
    last = max(row["first_token"] + row["tokens"] for row in rows)
    highest = max(rate for row in rows for _, rate in row["points"])
    width = min(console.width, MAX_WIDTH) - 2
    console.print(f"\n[bold]Learning rate[/] over {human(last)} tokens, {highest:g} at full height", highlight=False)
    for row in rows:
        console.print(f"{escape(', '.join(row['stages']))}: {escape(row['in_words'])}", highlight=False, soft_wrap=True)
        for line in _drawn(row, last, highest, width):
            console.print(f"  {line}".rstrip(), highlight=False)
    console.print()


def _drawn(row: dict[str, Any], last: int, highest: float, width: int) -> list[str]:
    """Columns of blocks, an eighth of a character exact, from the top line to the bottom one."""
    begin, end = row["first_token"] / last, (row["first_token"] + row["tokens"]) / last
    columns = range(round(begin * width), max(round(end * width), round(begin * width) + 1))
    levels = [0] * columns.start
    for column in columns:
        share = (column - columns.start + 0.5) / len(columns)
        rate = row["points"][int(share * len(row["points"]))][1]
        levels.append(max(1, round(rate / highest * HEIGHT * 8)))
    floors = reversed(range(HEIGHT))
    return ["".join(BLOCKS[min(max(level - 8 * floor, 0), 8)] for level in levels).rstrip() for floor in floors]
