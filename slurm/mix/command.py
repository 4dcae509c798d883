"""`midtrain mix`: from sampled blends to a proposed one. The fitting, and what it imports, is loaded inside the commands."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import wraps
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from slurm.console import as_json, console, print_json, shown, takes_page, tells_mistakes, under_root

if TYPE_CHECKING:
    from slurm.mix.fit import Fit
    from slurm.mix.proposal import Proposal
    from slurm.mix.region import Region
    from slurm.mix.sought import Importance
    from slurm.mix.table import Table

LAW_NAMES = ("best", "constant", "linear", "log_linear", "gaussian", "boosting")


@click.group()
def mix() -> None:
    """The next blend from proxy runs, with how sure it is.

    \b
    midtrain mix sample train/demo branch=demo_hybrid --out proxies.yaml     blends around the page's own, as a sweep
    midtrain sweep proxies.yaml --run                                        the proxy runs
    midtrain mix fit proxies.yaml                                            laws compared, noise of seeds
    midtrain mix propose proxies.yaml --out recipes/blend/proposed.yaml      the next blend: a gain, or noise
    midtrain mix plot proxies.yaml --out mix.html                            one page to look at
    """


limit = click.option("--limit", "limits_", multiple=True, metavar="NAME=LOW:HIGH", help="Lowest and highest share of a source.")
max_epochs = click.option(
    "--max-epochs", type=float, help="Times that a source's tokens may be seen; the page's max_epochs, else 4."
)
for_tokens = click.option(
    "--for-tokens",
    metavar="20B",
    help="Length of the training that the blend is for: a source of few tokens is limited to what it has.",
)


@mix.command()
@takes_page
@click.option("--stage", "stage", help="Training run whose blend is searched (decay_short); the page's last one.")
@click.option("--points", type=click.IntRange(min=1), help="Blends to draw; without it, 6 for each source.")
@click.option("--repeats", type=click.IntRange(min=1), default=4, show_default=True, help="Runs of the own blend, a seed each.")
@click.option(
    "--concentration",
    type=float,
    default=20.0,
    show_default=True,
    help="The higher, the nearer draws are to the own blend: at 20, an own share of 0.3 becomes 0.2 to 0.4 in two of three.",
)
@click.option("--seed", type=int, default=0, show_default=True, help="Seed of the draws.")
@limit
@max_epochs
@for_tokens
@click.option("--out", type=click.Path(path_type=Path), help="File of the sweep page; without it, it is printed.")
def sample(
    page: str,
    overrides: tuple[str, ...],
    stage: str | None,
    points: int | None,
    repeats: int,
    concentration: float,
    seed: int,
    limits_: tuple[str, ...],
    max_epochs: float | None,
    for_tokens: str | None,
    out: Path | None,
) -> None:
    """Blends drawn around a page's own (Dirichlet), as a sweep page: what proxy runs are to train on. Draws beyond a limit are
    drawn again.

    \b
    midtrain mix sample train/demo branch=demo_hybrid --points 24 --out proxies.yaml
    midtrain mix sample train/octothinker_1b branch=hybrid stages.decay.tokens=1B --for-tokens 20B --limit megamath_web_pro=0.4:
    """
    import yaml

    from recipes.stage import write_atomically
    from slurm.mix.sample import POINTS_PER_SOURCE, centre, draw, sweep_page
    from slurm.plan import plan

    middle = centre(plan(page, overrides), stage, limits_, tokens=_tokens(for_tokens), max_epochs=max_epochs)
    number = points or POINTS_PER_SOURCE * len(middle.sources)
    blends = draw(middle.blend, middle.limits, number, concentration=concentration, seed=seed)
    text = yaml.safe_dump(sweep_page(page, overrides, middle, blends, repeats=repeats), sort_keys=False, width=120)
    if out is None:
        click.echo(text.rstrip())
        return
    write_atomically(out, text.encode())
    click.echo(
        f"{shown(out.absolute())}: {number} blends and {repeats} runs of the own one; make them with: midtrain sweep {out} --run"
    )


@dataclass
class Asked:
    """What the options of `fit`, `propose` and `plot` say."""

    runs: str
    root: Path
    law: str
    targets: tuple[str, ...]

    def read(self) -> tuple["Table", "Importance"]:
        """The runs, and what is sought with its weights; nothing where no target is named."""
        from slurm.mix.sought import importances
        from slurm.mix.table import read_table

        importance = importances(self.targets)
        return read_table(self.runs, self.root, list(importance)), importance

    def fit(self, table: "Table", importance: "Importance", *, with_intervals: bool = True) -> "Fit":
        from slurm.mix.fit import REPLICATES, fit

        targets = list(importance or table.targets)
        return fit(table, targets, law=self.law, replicates=REPLICATES if with_intervals else 0)


def reads_runs(command: Callable[..., Any]) -> Callable[..., Any]:
    """RUNS and how they are read; the command gets them as its first argument."""

    @click.argument("runs")
    @click.option(
        "--target",
        "targets",
        multiple=True,
        metavar="NAME[=WEIGHT]",
        help="What is to become low, a loss; with a negative weight high, a score (gsm8k=-1). Without it, all losses alike.",
    )
    @click.option(
        "--law",
        type=click.Choice(LAW_NAMES),
        default="best",
        help="best: of each target the one with the lowest error out of fold, chosen again in each draw of the bootstrap.",
    )
    @under_root
    @tells_mistakes
    @wraps(command)
    def wrapped(runs: str, targets: tuple[str, ...], law: str, root: str, **rest: Any) -> None:
        command(Asked(runs, Path(root), law, targets), **rest)

    return wrapped


@mix.command("fit")
@reads_runs
@as_json
def fit_command(asked: Asked, json_: bool) -> None:
    """Laws of what runs came to as a function of their blends, compared by cross-validation, beside the noise of seeds. RUNS:
    a sweep, whose finished points are read; PAGE/STAGE, whose finished runs differ in blend and seed alone; or a file of .csv or
    .jsonl with columns blend.SOURCE and figures.

    \b
    midtrain mix fit proxies.yaml
    midtrain mix fit train/demo/decay
    midtrain mix fit scores.csv --target gsm8k=-1
    """
    from slurm.mix.describe import describe_fit
    from slurm.mix.display import print_fit

    record = describe_fit(asked.fit(*asked.read(), with_intervals=False))
    if json_:
        print_json(record)
    else:
        print_fit(console, record)


def proposes(command: Callable[..., Any]) -> Callable[..., Any]:
    """Further options of what proposes a blend."""
    against = click.option(
        "--against", metavar="BLEND", help="The own blend: a name in recipes/blend or {web:0.7,qa:0.3}; the one run most often."
    )
    return reads_runs(against(limit(max_epochs(for_tokens(command)))))


@mix.command("propose")
@proposes
@click.option("--out", type=click.Path(path_type=Path), help="Page of the proposed blend, in recipes/blend or recipes/branch.")
@as_json
def propose_command(asked: Asked, out: Path | None, json_: bool, **options: Any) -> None:
    """The best blend between those that were run, what it gains over the own one with a 95 % interval, and "noise" when it is.
    Runs that were sampled within limits keep it within them; --for-tokens and --max-epochs ask again, of a longer run.

    \b
    midtrain mix propose proxies.yaml --target web --target long_cot=2 --limit demo_web=0.5: --out recipes/blend/proposed.yaml
    midtrain mix propose scores.csv --target gsm8k=-1 --against {web:0.7,qa:0.3}
    """
    from recipes.stage import write_atomically
    from slurm.mix.blend_page import blend_page, how_to_use
    from slurm.mix.describe import describe_proposal
    from slurm.mix.display import print_proposal
    from slurm.mix.limits import written

    fitted, importance, _, proposal = _propose(asked, **options)
    record = describe_proposal(fitted, proposal, importance)
    blend = written(fitted.table.blend(proposal.blend))
    if out is not None:
        is_branch = out.absolute().parent.name == "branch"
        page = blend_page(fitted.table, proposal, asked.runs, importance, out.stem, is_branch=is_branch)
        write_atomically(out, page.encode())
    if json_:
        print_json(record)
        return
    print_proposal(console, record)
    click.echo(f"use it with: {how_to_use(out, blend) if out else 'stages.STAGE.blend=' + blend}")


@mix.command("plot")
@proposes
@click.option("--out", type=click.Path(path_type=Path), default=Path("mix.html"), help="mix.html")
def plot_command(asked: Asked, out: Path, **options: Any) -> None:
    """One HTML page: predictions beside what runs came to, the effect of each source, the objective along each share, and noise.

    \b
    midtrain mix plot proxies.yaml --out mix.html
    """
    from recipes.stage import write_atomically
    from slurm.mix.plot import render

    fitted, importance, region, proposal = _propose(asked, **options)
    write_atomically(out, render(asked.runs, fitted, importance, region, proposal).encode())
    click.echo(shown(out.absolute()))


def _propose(
    asked: Asked, *, against: str | None, limits_: tuple[str, ...], max_epochs: float | None, for_tokens: str | None
) -> tuple["Fit", "Importance", "Region", "Proposal"]:
    import yaml

    from recipes.load import RECIPES
    from recipes.stage import read_stage
    from slurm.epochs import WORTH
    from slurm.mix.limits import limits, most_by_tokens
    from slurm.mix.proposal import propose
    from slurm.mix.region import region
    from slurm.mix.sample import own_blend
    from slurm.mix.sought import all_alike

    table, importance = asked.read()
    importance = importance or all_alike(asked.runs, list(table.targets), are_losses=table.are_losses)
    if (for_tokens or max_epochs) and not table.stages:
        raise ValueError(f"{asked.runs} does not say how many tokens a source has; use --limit in place of epochs")
    if against is None and not table.has_repeats:
        raise ValueError(f"no blend of {asked.runs} was run twice, which would make it the own one; name it with --against")
    most: dict[str, tuple[float, str]] = {}
    for stage in table.stages if for_tokens or max_epochs else []:
        most |= most_by_tokens(stage, read_stage, {}, tokens=_tokens(for_tokens), max_epochs=max_epochs or WORTH)
    within = region(table, limits(table.sources, limits_, most))
    own = table.most_repeated
    if against:
        options = {file.stem: yaml.safe_load(file.read_text()) for file in sorted((RECIPES / "blend").glob("*.yaml"))}
        own = table.shares_of(own_blend(against, options))
    fitted = asked.fit(table, importance)
    return fitted, importance, within, propose(fitted, within, own, importance)


def _tokens(given: str | None) -> int | None:
    """20B, as pages write tokens."""
    from pydantic import TypeAdapter, ValidationError

    from recipes.schema.base import Tokens

    if given is None:
        return None
    try:
        return TypeAdapter(Tokens).validate_python(int(given) if given.isdigit() else given)
    except ValidationError as error:
        raise ValueError(f"--for-tokens: {error.errors()[0]['msg'].removeprefix('Value error, ')}") from None
