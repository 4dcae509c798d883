"""Commands that ask about finished results: which documents a step saw and what they share, what became of one,
how two datasets differ."""

import sys
from pathlib import Path

import click
from rich.markup import escape
from rich.table import Table

from slurm.completion import OverrideType, PageType
from slurm.console import as_json, console, print_json, tells_mistakes, under_root


@click.command()
@click.argument("run_", metavar="RUN")
@click.option("--step", type=int, required=True, help="Step of the stage, from 1.")
@under_root
@as_json
@tells_mistakes
def trace(run_: str, step: int, root: str, json_: bool) -> None:
    """The documents of one step's batch: id, url, source. RUN is PAGE/STAGE or a stage folder.

    \b
    midtrain trace train/demo/decay_long --step 7
    """
    from pretrain.ledger import trace as trace_step
    from slurm.results import find_stage

    folder = find_stage(run_, Path(root)).folder
    rows = trace_step(folder, step)
    if json_:
        print_json({"run": str(folder), "step": step, "documents": rows})
        return
    table = Table(box=None, header_style="bold", pad_edge=False)
    for column in ("sample", "dataset", "tokens", "source", "id", "url"):
        table.add_column(column, justify="right" if column in ("sample", "tokens") else "left", overflow="fold")
    for row in rows:
        tokens = str(row["num_tokens"])
        texts = (row["dataset"], tokens, row["source"], row["id"], row["url"])
        table.add_row(str(row["sample"]), *(escape(str(text or "")) for text in texts))
    console.print(table)


@click.command()
@click.argument("run_", metavar="RUN")
@click.option("--step", type=int, required=True, help="Step that went wrong, from 1.")
@click.option("--before", type=click.IntRange(min=0), default=0, help="So many steps before it are looked at too.")
@click.option("--around", type=click.IntRange(min=0), default=5, help="Steps on either side that it is compared with.")
@under_root
@as_json
@tells_mistakes
def spike(run_: str, step: int, before: int, around: int, root: str, json_: bool) -> None:
    """What the batch of a step that went wrong holds, beside those around it: datasets, sources and sites by their share of the
    tokens, documents that repeat, the longest and the most monotonous pieces. RUN is PAGE/STAGE or a stage folder.

    \b
    midtrain spike train/demo/stable --step 130 --before 2
    """
    from pretrain.spike import spike as look_at
    from slurm.answers import print_spike
    from slurm.results import find_stage

    record = look_at(find_stage(run_, Path(root)).folder, step, before=before, around=around)
    if json_:
        print_json(record)
    else:
        print_spike(console, record)


@click.command()
@click.argument("document", metavar="URL|ID")
@click.argument("page", type=PageType(), required=False)
@click.argument("overrides", nargs=-1, type=OverrideType())
@under_root
@as_json
@tells_mistakes
def why(document: str, page: str | None, overrides: tuple[str, ...], root: str, json_: bool) -> None:
    """What became of a document: where it was read, what each stage learned of it, which one dropped it and why, or where its
    tokens lie. In the stages of PAGE, else in all results under --root. Exit status 1 if no stage has it.

    \b
    midtrain why https://example.org/derivatives
    midtrain why f0a050c3-151d-4c55-83f2-f551c4ed5b10 curate/demo_web --json
    """
    from slurm.answers import print_fates
    from slurm.why import fates, records_of_page, records_under

    if page is not None and ("=" in page or page.startswith("~")):
        raise _misplaced(page, "behind the PAGE that they change")
    records = records_under(Path(root)) if page is None else records_of_page(page, (f"root={root}", *overrides))
    record = fates(document, records)
    if json_:
        print_json(record)
    else:
        print_fates(console, record)
    sys.exit(0 if record["documents"] else 1)


@click.command()
@click.argument("a")
@click.argument("b")
@click.argument("more", nargs=-1, metavar="", type=OverrideType())
@under_root
@as_json
@tells_mistakes
def diff(a: str, b: str, more: tuple[str, ...], root: str, json_: bool) -> None:
    """How two datasets or two training runs differ: parameters, inputs, code, documents and tokens by stage, reasons, and the
    documents that only one of them keeps; of training the learning rate, the data delivered and the losses, with the first step
    that differs. A and B: a page with its overrides in quotes, PAGE/STAGE (the newest under --root) or a stage folder.

    \b
    midtrain diff curate/demo_web "curate/demo_web stages.math.filters.math_classifier.min_score=0.9"
    midtrain diff train/demo/decay_short train/demo/decay_long --json
    """
    from slurm.answers import print_differences
    from slurm.diff import compare, read_road

    for word in (*more, *(word for word in (a, b) if word.startswith("root="))):
        raise _misplaced(word, "in the quotes of A or B, behind the page that they change")
    record = compare(read_road(a, Path(root)), read_road(b, Path(root)))
    if json_:
        print_json(record)
    else:
        print_differences(console, record)


def _misplaced(word: str, place: str) -> ValueError:
    """Of an override where none can stand. Where a command asks about all results, their folder is an option."""
    if word.startswith("root="):
        return ValueError(f"{word!r} is no page; name the folder of the results with: --root {word.removeprefix('root=')}")
    return ValueError(f"{word!r} cannot stand there; overrides stand {place}")
