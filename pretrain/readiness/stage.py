"""Asks a checkpoint all that its readiness card tells: first its files and the libraries that load it, which costs seconds; then
problems, sampled as RL samples them. A checkpoint that is too broken for that is asked nothing, and its card says why.
"""

import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import orjson

from pretrain.generation.engine import Asked, Engine, NoNumbers, Sampling, seed_of
from pretrain.generation.open import open_engine
from pretrain.generation.prompts import prompt
from pretrain.problems.problem import Problem, read_problems
from pretrain.readiness import budgets, completion, identity, loading, record
from pretrain.readiness.answers import Answer, Question, ask, by_problem, with_grade
from pretrain.readiness.card import FIGURES
from pretrain.readiness.files import Files
from pretrain.readiness.verdicts import Check
from recipes.final_answer import EXTRACTORS
from recipes.grading import Grader
from recipes.manifest import publish
from recipes.schema import Engine as EngineParams
from recipes.schema import Readiness, Serving
from recipes.schema.readiness import Completion
from recipes.stage import Stage, write_atomically

PREVENTS = ("files", "vocabulary", "tied_embedding", "numbers", "loads_transformers")  # where one fails, nothing is asked


@dataclass(frozen=True)
class Job:
    """A stage's parameters, and the checkpoint that is asked."""

    stage: Stage
    params: Readiness
    engine: EngineParams
    seed: int

    @property
    def folder(self) -> Path:
        return self.stage.folder

    @property
    def checkpoint(self) -> Path:
        return Path(self.stage.input("checkpoint"))

    def sampling(self) -> Sampling:
        given = self.params
        return Sampling(given.max_tokens, given.temperature, given.top_p, given.stop)

    def open(self) -> Engine:
        return self._open(self.engine)

    def open_steered(self) -> Engine:
        """One that budgets can be held with, token by token, which vLLM does not let."""
        return self._open(self.engine.model_copy(update={"kind": "transformers"}))

    def _open(self, engine: EngineParams) -> Engine:
        serving = Serving.model_validate(self.stage.run["serving"])
        return open_engine(self.checkpoint, engine, serving, int(self.stage.run["cluster"]["threads_per_process"]))


def run(stage: Stage) -> None:
    started = time.time()
    job = _read(stage)
    columns, file = job.params.columns, stage.input("problems")
    problems = read_problems(file, question=columns.question, answer=columns.answer, limit=job.params.limit, seed=job.seed)
    found = measure(job, problems)
    write_atomically(stage.folder / FIGURES, orjson.dumps(found, option=orjson.OPT_INDENT_2 | orjson.OPT_APPEND_NEWLINE))
    publish(stage, counts=found["counts"], started=started)


def _read(stage: Stage) -> Job:
    params = dict(stage.params)
    seed, engine = int(params.pop("seed")), EngineParams.model_validate(params.pop("engine"))
    return Job(stage, Readiness.model_validate(params), engine, seed)


def measure(job: Job, problems: Sequence[Problem]) -> dict[str, Any]:
    """What figures.json holds."""
    prompts = [prompt(job.params.template, problem.question) for problem in problems]
    made_by = Path(job.stage.inputs["checkpoint"].stage or job.checkpoint.resolve().parent)  # of a folder's export, its stage
    checks = identity.checks(job.checkpoint, prompts, identity.trained_eos(made_by))
    checks["numbers"] = identity.numbers(job.checkpoint)
    checks |= {f"loads_{kind}": loading.check(kind, job.checkpoint, job.engine.dtype) for kind in job.params.loads}
    if any(checks[name].verdict == "fail" for name in PREVENTS if name in checks):
        return record.of_nothing(job.stage, checks)
    opened: list[Engine] = []

    @cache
    def engine() -> Engine:
        opened.append(job.open())
        return opened[0]

    try:
        with Grader() as grader:
            return _ask_all(job, engine, grader, problems, prompts, checks)
    except NoNumbers as error:  # finite weights can do that too, with too large ones
        return record.of_nothing(job.stage, checks | {"numbers": Check("fail", str(error))})
    finally:
        for one in opened:
            one.close()


def _ask_all(
    job: Job,
    engine: Callable[[], Engine],
    grader: Grader,
    problems: Sequence[Problem],
    prompts: Sequence[str],
    checks: dict[str, Any],
) -> dict[str, Any]:
    params, seed = job.params, job.seed
    golds = {problem.number: problem.answer for problem in problems}
    extract = EXTRACTORS[params.extract]

    def graded(answer: Answer) -> Answer:
        return with_grade(answer, grader.grade(answer.text, golds[answer.problem], extract), params.right_by)

    def sampled(kind: str, samples: int, behind: str) -> list[list[Answer]]:
        questions = [
            Question(problem.number, sample, Asked(text + behind, seed_of(seed, kind, problem.number, sample)))
            for problem, text in zip(problems, prompts, strict=True)
            for sample in range(samples)
        ]
        return by_problem(ask(engine, kind, questions, job.sampling(), job.folder, graded))

    spent = budgets.measure(job.open_steered, problems, params, grader, job.folder) if params.budgets else None
    free = sampled("free", params.samples, "")
    forced = sampled("forced", params.forced.samples, params.forced.opening) if params.forced else None
    return record.of_answers(
        job.stage,
        params,
        seed,
        checks,
        free=free,
        forced=forced,
        completed=_completed(job, engine, params.contamination) if params.contamination else None,
        spent=spent,
    )


def _completed(job: Job, engine: Callable[[], Engine], asked: Completion) -> dict[str, Any]:
    """The contamination probe: greedy, so that it is the likeliest continuation that counts."""
    all_ours, all_control = _cuts(job, asked)
    ours, control = _fitting(job, asked, all_ours, all_control)
    sampling = Sampling(asked.max_tokens)

    def asked_of(kind: str, cuts: Sequence[completion.Cut]) -> list[Answer]:
        questions = [Question(one.number, 0, Asked(one.prompt)) for one in cuts]
        return ask(engine, kind, questions, sampling, job.folder)

    answers, told = asked_of("completed", ours), asked_of("control", control)
    left_out = {"left_out": len(all_ours) - len(ours), "control_left_out": len(all_control) - len(control)}
    return left_out | completion.compare(ours, control, answers, told, job.seed, is_paired=asked.control is None)


def _cuts(job: Job, asked: Completion) -> tuple[list[completion.Cut], list[completion.Cut]]:
    def read(role: str) -> list[Problem]:
        return read_problems(job.stage.input(role), question=asked.question, answer=None, limit=asked.limit, seed=job.seed)

    if asked.control is None:
        return completion.pairs(read("benchmark"), asked.prefix_share, job.seed)
    both = [[completion.cut(problem, asked.prefix_share) for problem in read(role)] for role in ("benchmark", "control")]
    ours, control = ([one for one in cuts if one is not None] for cuts in both)
    return ours, control


def _fitting(
    job: Job, asked: Completion, ours: list[completion.Cut], control: list[completion.Cut]
) -> tuple[list[completion.Cut], list[completion.Cut]]:
    """Those that the model has room to complete; of pairs both, or neither."""
    files = Files(job.checkpoint)
    positions = int(files.config.get("max_position_embeddings", sys.maxsize))
    room = completion.Room(lambda text: len(files.tokenizer.encode(text).ids), asked.max_tokens, positions)
    if asked.control is not None:
        return [one for one in ours if room.fits(one)], [one for one in control if room.fits(one)]
    both = [(a, b) for a, b in zip(ours, control, strict=True) if room.fits(a) and room.fits(b)]
    return [a for a, _ in both], [b for _, b in both]
