"""What a reader should know before trusting the figures, gathered from all manifests."""

from collections.abc import Sequence
from dataclasses import dataclass, field

from recipes.report.figures import clean, decimal, is_number, share, whole, words
from recipes.report.funnel import Dataset
from recipes.report.readiness import failed_checks
from recipes.report.record import Record
from recipes.report.training import Checkpoint, Run
from recipes.resume import doubt

MAX_EPOCHS = 4  # up to four, repeated tokens are worth about as much as new ones (Muennighoff et al. 2023, section 5)
MAX_SHARE_DIFFERENCE = 0.01  # between a blend's asked and delivered share
SURE_KINDS = ("verbatim", "white_space", "latex")  # of canaries: the same words
MIN_REMOVED = 0.95


@dataclass(frozen=True)
class Concern:
    where: str
    what: str
    names: list[str] = field(default_factory=list)  # of files, stages or documents


def find_concerns(
    records: Sequence[Record],
    datasets: Sequence[Dataset],
    runs: Sequence[Run],
    checkpoints: Sequence[Checkpoint],
    missing: Sequence[str],
) -> list[tuple[str, list[Concern]]]:
    """By place, in the order of work."""
    concerns = []
    if missing:
        unfinished = f"{_many(len(missing), 'stage is', 'stages are')} not finished yet"
        concerns.append(Concern("this page", unfinished, _texts(missing)))
    for record in records:
        concerns += _unreadable(record) + _duplicate_ids(record)
    for dataset in datasets:
        if any(step.documents_out == 0 for step in dataset.steps):
            step = next(step for step in dataset.steps if step.documents_out == 0)
            concerns.append(Concern(f"{dataset.page}/{step.name}", "no document was kept"))
        concerns += _contamination(dataset)
    for run in runs:
        concerns += _training(run)
    for checkpoint in checkpoints:
        concerns += _parity(checkpoint)
    for record in records:
        concerns += _readiness(record) + _collapses(record)
    versions = {str(sorted(record.tree("software").items())) for record in records}
    if len(versions) > 1:
        text = f"stages were made with {len(versions)} different sets of versions; they are listed below"
        concerns.append(Concern("software", text))
    by_place: dict[str, list[Concern]] = {}
    for concern in concerns:
        by_place.setdefault(concern.where, []).append(concern)
    return list(by_place.items())


def _unreadable(record: Record) -> list[Concern]:
    concerns = []
    for what in sorted(record.tree("counts", "unreadable")):
        for kind, amount in sorted(record.numbers("counts", "unreadable", what).items()):
            names = record.at("names", f"{what}/{kind}")
            one = what.removesuffix("s")
            text = f"{_many(amount, one, what)} could not be read: {words(kind)}"
            concerns.append(Concern(record.name, text, _texts(names)))
    return concerns


def _duplicate_ids(record: Record) -> list[Concern]:
    number = record.number("counts", "duplicate_ids")
    if not number:
        return []
    text = f"{_many(number, 'id occurs', 'ids occur')} more than once"
    names = record.at("names", "duplicate_ids") or record.at("details", "duplicate_ids")  # of one rank's files; what ranks share
    return [Concern(record.name, text, _texts(names))]


def _contamination(dataset: Dataset) -> list[Concern]:
    """Tokens that nothing was compared with, and planted items that were to be found and were not."""
    if dataset.tokens is not None and not any(record.do == "decontaminate" for record in dataset.records):
        return [Concern(dataset.page, "it was compared with no benchmark: its page has no decontaminate stage")]
    concerns = []
    for record in dataset.records:
        for kind in SURE_KINDS if record.do == "certificate" else ():
            found = record.number("details", "canaries_questions", kind, "removed")
            if found is not None and found < MIN_REMOVED:
                text = f"of planted benchmark questions ({words(kind)}) only {share(found)} were found"
                concerns.append(Concern(record.name, text))
    return concerns


def _training(run: Run) -> list[Concern]:
    concerns = []
    for row in run.record.rows("details", "ledger"):
        name, epochs = words(row.get("dataset")), row.get("epochs")
        if is_number(epochs) and epochs > MAX_EPOCHS:
            text = f"{name} was repeated {decimal(epochs, 1)} times; above {MAX_EPOCHS} it teaches little"
            concerns.append(Concern(run.record.name, text))
        asked, delivered = row.get("asked_share"), row.get("delivered_share")
        if is_number(asked) and is_number(delivered) and abs(asked - delivered) > MAX_SHARE_DIFFERENCE:
            text = f"the blend asked for {share(asked)} of {name} and delivered {share(delivered)}"
            concerns.append(Concern(run.record.name, text))
    guards = run.record.numbers("details", "guards")
    if guards.get("rewinds") or guards.get("skipped_steps"):
        times = _many(guards.get("rewinds", 0), "time", "times")
        skipped = _many(guards.get("skipped_steps", 0), "step", "steps")
        text = f"guards went back {times} and left the updates of {skipped} out: guards.jsonl says why"
        concerns.append(Concern(run.record.name, text))
    if told := doubt(run.record.at("details")):
        concerns.append(Concern(run.record.name, clean(told)))
    if run.metrics is None:
        concerns.append(Concern(run.record.name, "its loss by step (metrics.jsonl) is not there; no curve is drawn"))
    elif run.metrics.num_damaged:
        text = f"{_many(run.metrics.num_damaged, 'line', 'lines')} of metrics.jsonl could not be read"
        concerns.append(Concern(run.record.name, text))
    return concerns


def _parity(checkpoint: Checkpoint) -> list[Concern]:
    if checkpoint.difference is None:
        return [Concern(checkpoint.record.name, "its manifest holds no parity figure; export it again")]
    if checkpoint.is_passed is False:
        text = f"logits differ by {checkpoint.difference:.2g}, allowed are {checkpoint.limit:g}"
        return [Concern(checkpoint.record.name, text)]
    return []


def _readiness(record: Record) -> list[Concern]:
    failed = failed_checks(record)
    if not failed:
        return []
    text = f"{_many(len(failed), 'check', 'checks')} of readiness for reinforcement learning failed: {', '.join(failed)}"
    return [Concern(record.name, text)]


def _collapses(record: Record) -> list[Concern]:
    """Of a probe's runs."""
    concerns = []
    for row in record.rows("details", "probe", "collapses") if record.do == "probe_verdict" else ():
        what = row.get("what")
        told = ", ".join(f"{words(kind)} ({how})" for kind, how in what.items()) if isinstance(what, dict) else "not told how"
        where = f"{record.page}/probe_{row.get('checkpoint')}_{row.get('arm')}_{row.get('run')}"
        concerns.append(Concern(where, f"this run of the probe collapsed: {told}"))
    return concerns


def _texts(names: object) -> list[str]:
    return [clean(str(name)) for name in names] if isinstance(names, list | tuple) else []


def _many(number: float, one: str, many: str) -> str:
    return f"{whole(number)} {one if number == 1 else many}"
