"""What `why`, `spike` and `diff` print: the way of a document stage by stage, what a batch holds, and tables of what differs."""

from collections.abc import Iterable, Sequence
from typing import Any

from rich.console import Console
from rich.markup import escape
from rich.table import Table

COLOURS = {"kept": "green", "tokenized": "green", "blended": "green", "dropped": "red"}
MAX_ROWS = 30  # of a table; --json has all
MAX_CHARS = 200  # of one value
MAX_STEPS = 10  # named of those that saw a document


def print_fates(console: Console, record: dict[str, Any]) -> None:
    if record["same_id"]:
        number, some = record["same_id"]["documents"], record["same_id"]["some"]
        named = ", ".join(some) + (f" and {number - len(some):,} more" if number > len(some) else "")
        console.print(f"{number:,} documents came with this id; they were numbered: {escape(named)}", soft_wrap=True)
    for fate in record["documents"]:
        console.print(f"[bold]{escape(fate['id'])}[/]  {escape(fate['url'] or '')}", soft_wrap=True)
        table = Table(box=None, show_header=False, pad_edge=False, padding=(0, 2, 0, 0))
        table.add_column(no_wrap=True)
        table.add_column(no_wrap=True)
        table.add_column(overflow="fold")
        for step in fate["steps"]:
            outcome = f"[{COLOURS[step['outcome']]}]{step['outcome']}[/]"
            table.add_row(f"  {escape(step['stage'])}", outcome, escape(_told(step)))
        if fate["same_as_newest"]:
            console.print("  every stage told the same as above")
        else:
            console.print(table)
        for row in fate["differs"][:MAX_ROWS]:
            told = f"{row['stage']} {row['key']}: {_value(row['b'])} (above: {_value(row['a'])})"
            console.print(f"  made with {escape(told)}", soft_wrap=True)
        made = [step["made"] for step in fate["steps"] if step["outcome"] != "blended"]
        last = made[-1]  # tells apart what the page made with other parameters
        console.print(f"  {fate['verdict']}: {escape(last)}, shard {fate['shard']}\n", soft_wrap=True)
    if not record["documents"]:
        searched = f"{record['documents_searched']:,} documents of {', '.join(record['pages'])}"
        console.print(f"no document is {escape(record['asked'])}: searched {escape(searched)}", soft_wrap=True)
        console.print("what a reader skips (other types, error pages) or cannot read is counted in its manifest, not listed")
        for near in record["nearest"]:
            console.print(f"  near: {escape(near['id'])}  {escape(near['url'] or '')}", soft_wrap=True)


def _told(step: dict[str, Any]) -> str:
    """What a stage had to say of a document, in one cell."""
    told = []
    if step["outcome"] == "tokenized":
        first, number = step["first_token"], step["num_tokens"]
        told.append(f"{step['split']}: document {step['document']:,}, tokens {first:,} to {first + number - 1:,} ({number:,})")
    if step["outcome"] == "blended":
        told.append(f"as {step['dataset']}: {_steps(step['steps'], step['num_steps'])}")
    if "reason" in step:
        told.append(step["reason"] if step["rule"] in (None, step["reason"]) else f"{step['reason']}: {step['rule']}")
    if step.get("asked"):
        told.append(f"asked: {_words(step['asked'])}")
    if "duplicate_of" in step:
        twin = step["duplicate_of"]
        told.append(f"resembles {twin['id']} {twin['url'] or ''} (Jaccard {twin['jaccard']})")
    if "stands_for" in step:
        some = ", ".join(row["id"] for row in step["stands_for"]["some"])
        number = step["stands_for"]["documents"]
        told.append(f"kept for {number:,} duplicates, among them {some}" if number > 1 else f"kept for its duplicate {some}")
    learned = {key: value for key, value in step.get("learned", {}).items() if key != "url"}  # stands above all steps
    if learned:
        told.append(_words(learned))
    return "\n".join(told)


def _steps(named: Sequence[int], number: int | None) -> str:
    if not number:
        return "no step saw it" if number == 0 else "its index is gone, which tells the steps that saw it"
    more = f" and {number - len(named):,} more" if number > len(named) else ""
    return f"seen in step{'s' if number > 1 else ''} {', '.join(f'{step:,}' for step in named)}{more}"


def _words(tree: dict[str, Any]) -> str:
    return " · ".join(f"{key} {_leaf(value)}" for key, value in tree.items() if value not in (None, {}, []))


def _leaf(value: Any) -> str:
    """Of a mapping what is not zero, in brackets; of several mappings the first."""
    if isinstance(value, list) and value and isinstance(value[0], dict):
        return _leaf(value[0]) + (f" and {len(value) - 1} more" if len(value) > 1 else "")
    if not isinstance(value, dict):
        return _value(value)
    told = [f"{key} {_leaf(part)}" for key, part in value.items() if part not in (0, None, {}, [])]
    return f"({', '.join(told)})" if told else "(all 0)"


# ---------------------------------------------------------------------------------------------------- spikes


def print_spike(console: Console, record: dict[str, Any]) -> None:
    for row in record["steps"]:
        figures = f"loss {_value(row.get('loss'))}, gradient norm {_value(row.get('grad_norm'))}"
        skipped = f", skipped: {row['skipped']}" if "skipped" in row else ""
        console.print(f"step {row['step']:,}, batch {row['batch']:,}: {figures}{skipped}")
    if record["left_out"]:
        console.print("a guard went back in this step: these batches were left out, and others took their place")
    documents = record["documents"]
    told = f"{record['tokens']:,} tokens of {len(documents):,} documents, beside {record['neighbours']} batches around"
    console.print(told)
    for kind, rows in record["shares"].items():
        columns = (kind, "tokens", "share", "around", *(["asked"] if kind == "dataset" else []))
        keys = ("share", "share_around", *(["share_asked"] if kind == "dataset" else []))
        texts = ([_value(row[kind]), f"{row['tokens']:,}", *(_share(row[key]) for key in keys)] for row in rows)
        _print_table(console, f"By {kind}", columns, texts, num_words=1)
    repeated = (
        [*_named(row), str(row["samples"]), _steps(row["seen_in_steps"][:MAX_STEPS], len(row["seen_in_steps"]))]
        for row in record["repeated"]
    )
    _print_table(console, "Documents in several samples", ("dataset", "id", "url", "samples", "steps"), repeated)
    for title, key in (("Longest pieces", "longest"), ("Most monotonous pieces", "monotonous")):
        columns = ("dataset", "id", "url", "tokens", "commonest token")
        pieces = ([*_named(row), f"{row['num_tokens']:,}", _share(row["commonest_token_share"])] for row in record[key])
        _print_table(console, title, columns, pieces, num_words=3)
    texts = ([*_named(row), f"{row['tokens']:,}"] for row in documents)
    _print_table(console, "Documents", ("dataset", "id", "url", "tokens"), texts, num_words=3)


def _named(row: dict[str, Any]) -> list[str]:
    return [row["dataset"], row["id"], row["url"] or ""]


def _share(share: float | None) -> str:
    return "–" if share is None else f"{share:.1%}"


# ---------------------------------------------------------------------------------------------------- differences


def print_differences(console: Console, record: dict[str, Any]) -> None:
    for side in ("a", "b"):
        road = record[side]
        console.print(f"[bold]{side}[/]  {escape(road['name'])}  ({road['finished']} of {road['stages']} stages done)")
    if record["same"]:
        console.print("the same: every stage has the same fingerprint")
        _print_training(console, [row for row in record["training"] if row["losses"]["first_difference"]])
        return
    remade = [row for row in record["stages"] if row["a"] != row["b"]]
    console.print(f"{len(record['stages']) - len(remade)} of {len(record['stages'])} stages are the same")
    _print_table(console, "Stages", ("stage", "a", "b", "because"), ([*_pair(row, "stage"), _because(row)] for row in remade))
    for key, title in (("params", "Parameters"), ("inputs", "Inputs"), ("versions", "Code"), ("run", "Where it ran")):
        rows = ([row["stage"], row["key"], _value(row["a"]), _value(row["b"])] for row in record[key])
        _print_table(console, title, ("stage", "key", "a", "b"), rows)
    _print_table(
        console,
        "Documents and tokens out of each stage",
        ("stage", "documents a", "b", "b - a", "tokens a", "b", "b - a"),
        (
            [row["stage"], *_numbers(*row["documents"]), *_numbers(*row["tokens"], about=not row["exact"])]
            for row in record["funnel"]
        ),
        num_words=1,
    )
    reasons = ([_dropping_stage(row), row["key"], *_numbers(row["a"] or 0, row["b"] or 0)] for row in record["reasons"])
    _print_table(console, "Documents dropped", ("stage", "reason", "a", "b", "b - a"), reasons, num_words=2)
    for side in record["unfinished"]:
        done, of = record[side]["finished"], record[side]["stages"]
        console.print(f"\nDocuments are compared when both are finished: {side} has {done} of its {of} stages")
    if record["documents"] is not None:
        _print_documents(console, record["documents"])
    names = {row["stage"] for row in remade}
    _print_training(console, [row for row in record["training"] if row["stage"] in names or row["losses"]["first_difference"]])
    figures = ([row["stage"], row["key"], _value(row["a"]), _value(row["b"])] for row in record["figures"])
    _print_table(console, "Other figures", ("stage", "figure", "a", "b"), figures, num_words=2)


def _print_training(console: Console, rows: Sequence[dict[str, Any]]) -> None:
    """What differs of each training stage; of its data everything, where anything does."""
    for row in rows:
        rate, losses = row["learning_rate"], row["losses"]
        console.print(f"\n[bold]Training[/] {escape(row['stage'])}")
        if rate["first_difference"]:
            a, b = (_value(number) for number in rate["first_difference"]["rates"])
            console.print(f"learning rate: {a} and {b} in step {rate['first_difference']['step']:,}, the first that differs")
            for side, words in zip("ab", rate["in_words"]):
                console.print(f"  {side}  {words}")
        else:
            console.print(f"learning rate: the same: {rate['in_words'][0]}")
        if losses["first_difference"]:
            a, b = losses["first_difference"]["losses"]
            console.print(f"loss: {a} and {b} in step {losses['first_difference']['step']:,}, the first that differs")
        elif all(losses["steps"]):
            console.print(f"loss: the same to the last bit in {min(losses['steps']):,} steps")
        ends = [["last step", *losses["last"]]] if any(losses["steps"]) else []
        ends += [[f"validation {name}", *pair] for name, pair in row["validation"].items()]
        _print_table(
            console, "Loss at the end", ("", "a", "b"), ([name, _value(a), _value(b)] for name, a, b in ends), num_words=1
        )
        if any(a != b for entry in row["data"] for a, b in (entry["share"], entry["fingerprint"], entry["delivered_tokens"])):
            columns = ("dataset", "share a", "b", "made by a", "b", "tokens a", "b", "b - a")
            told = (
                [entry["dataset"], *map(_value, [*entry["share"], *entry["fingerprint"]]), *_numbers(*entry["delivered_tokens"])]
                for entry in row["data"]
            )
            _print_table(console, "Data", columns, told, num_words=1)


def _print_documents(console: Console, documents: dict[str, Any]) -> None:
    console.print(f"\n[bold]Documents kept[/]: {documents['both']:,} by both")
    for side, other in (("a", "b"), ("b", "a")):
        only = documents[f"only_{side}"]
        tokens = "" if only["tokens"] is None else f", {only['tokens']:,} tokens"
        console.print(f"only {side}: {only['documents']:,} documents{tokens}")
        for row in only["because"][:MAX_ROWS]:
            rule = "" if row["rule"] == row["reason"] else f": {row['rule']}"
            console.print(f"  {row['documents']:>9,}  {other} dropped in {escape(row['stage'])}, {escape(row['reason'] + rule)}")
        if only["never_there"]:
            console.print(f"  {only['never_there']:>9,}  never came to {other}")
        for example in only["examples"]:
            fate = _words(example["dropped_by"]) if example["dropped_by"] else f"never came to {other}"
            console.print(f"    {escape(example['id'])}  {escape(example['url'] or '')}", soft_wrap=True)
            console.print(f"      [dim]{escape(fate)}[/]", soft_wrap=True)


def _print_table(
    console: Console, title: str, columns: Sequence[str], rows: Iterable[Sequence[str]], *, num_words: int | None = None
) -> None:
    """Nothing without rows. Columns behind the first `num_words` are numbers."""
    rows = list(rows)
    if not rows:
        return
    table = Table(box=None, header_style="dim", pad_edge=False, padding=(0, 2, 0, 0))
    for number, column in enumerate(columns):
        is_number = num_words is not None and number >= num_words
        table.add_column(column, justify="right" if is_number else "left", overflow="fold")
    for row in rows[:MAX_ROWS]:
        table.add_row(*(escape(text) for text in row))
    console.print(f"\n[bold]{title}[/]")
    console.print(table)
    if len(rows) > MAX_ROWS:
        console.print(f"and {len(rows) - MAX_ROWS} more: --json")


def _pair(row: dict[str, Any], key: str) -> list[str]:
    return [row[key], row["a"] or "", row["b"] or ""]


def _because(row: dict[str, Any]) -> str:
    if row["a"] is None or row["b"] is None:
        return "only b has it" if row["a"] is None else "only a has it"
    return ", ".join(row["because"])


def _dropping_stage(row: dict[str, Any]) -> str:
    return f"{row['stage']} ({_because(row)})" if None in (row["a"], row["b"]) else str(row["stage"])


def _numbers(a: int | None, b: int | None, *, about: bool = False) -> list[str]:
    sign = "≈ " if about else ""
    told = ["" if number is None else f"{sign}{number:,}" for number in (a, b)]
    return [*told, "" if a is None or b is None else f"{b - a:+,}" if a != b else "="]


def _value(value: Any) -> str:
    """One line, however much it is."""
    text = "–" if value is None else f"{value:,}" if isinstance(value, int) and not isinstance(value, bool) else str(value)
    text = " ".join(text.split())
    return text if len(text) <= MAX_CHARS else f"{text[:MAX_CHARS]}…"
