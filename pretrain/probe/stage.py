"""One run of a probe: a checkpoint, an arm, a seed. Held-out problems are answered, GRPO takes its steps, and they are answered
again; the weights are not kept.

A run that was killed goes on behind its last save, one that was asked to end saves first; on the CPU both give the same bytes as
a run that nothing stopped. A run whose gradient is no number any more is no failure of the stage: it is what the probe found.
"""

import importlib.util
import math
import os
import shutil
import time
from importlib.metadata import version
from pathlib import Path
from typing import Any

import orjson

from pretrain.ending import Interrupted, Interruption
from pretrain.probe import curve, saves
from pretrain.probe.split import Split, split
from pretrain.problems.problem import Problem, read_problems
from recipes.grading import Grader
from recipes.manifest import publish
from recipes.schema import Cluster, Serving
from recipes.schema.prove import ProbeRun
from recipes.stage import LOGS, Stage, write_atomically

EXTRA = "an RL probe needs TRL, which is not installed; install it with: pip install 'midtrain[rl]'"


def run(stage: Stage) -> None:
    started = time.time()
    params, cluster = ProbeRun.model_validate(stage.params), Cluster.model_validate(stage.run["cluster"])
    _check(stage, params, cluster)
    problems = _problems(stage, params)
    interruption = Interruption()
    _load_quietly(cluster.device)
    tokenizer = _tokenizer(stage.input("checkpoint"))
    drawn = _drawn(stage, params, problems, tokenizer)
    from pretrain.probe.grpo import Policy, diverged
    from pretrain.probe.reward import Rewards

    kept = saves.folder_of(stage.folder)
    with Grader() as grader:
        rewards = Rewards(params, grader, frozenset())
        serving = Serving.model_validate(stage.run["serving"])
        policy = Policy(stage.input("checkpoint"), tokenizer, rewards, drawn, kept, serving, cluster)
        rewards.eos = frozenset(policy.trainer.eos_token_ids)
        before = _once(stage.folder / LOGS / saves.BEFORE, lambda: policy.answer(drawn.held_out))
        told = [] if interruption.is_requested else policy.learn(interruption, stage.folder)
        is_diverged = bool(told) and diverged(told[-1])
        if len(told) < params.steps and not is_diverged:
            raise Interrupted(f"{interruption.signal}: left after {len(told)} of {params.steps} steps; run it again to go on")
        after = [silent(answer) for answer in before] if is_diverged else policy.answer(drawn.held_out)
    _write(stage, drawn, params, told, {curve.BEFORE: before, curve.AFTER: after})
    details = _details(params, before, after) | {
        "diverged": is_diverged,
        "device": cluster.device,
        "trl": version("trl"),
    }
    counts = {
        "problems": len(drawn.training),
        "held_out": len(drawn.held_out),
        "repeated": drawn.repeated,
        "too_long": drawn.too_long,
        "steps": len(told),
        "rollouts": len(told) * params.questions * params.rollouts,
        "grades": curve.grades(told, params.questions * params.rollouts),
    }
    publish(stage, counts=counts, started=started, details={"probe": details})
    shutil.rmtree(kept, ignore_errors=True)


def _check(stage: Stage, params: ProbeRun, cluster: Cluster) -> None:
    """All that can be told without torch."""
    if importlib.util.find_spec("trl") is None:
        raise ValueError(EXTRA)
    if params.engine.kind == "vllm" and (cluster.device == "cpu" or importlib.util.find_spec("vllm") is None):
        raise ValueError("engine.kind=vllm: it needs a GPU and vLLM, and one of them is not here; set engine.kind=transformers")
    if not (Path(stage.input("checkpoint")) / "config.json").is_file():
        raise ValueError(f"{stage.input('checkpoint')} is no Hugging Face folder: it has no config.json")


def _problems(stage: Stage, params: ProbeRun) -> list[Problem]:
    """Enough of them, were all short enough."""
    columns, held_out = params.columns, params.held_out.problems
    found = read_problems(stage.input("problems"), question=columns.question, answer=columns.answer)
    split(found, held_out=held_out, seed=params.seed, fits=lambda problem: True)
    return found


def _load_quietly(device: str) -> None:
    """Loads transformers: nobody outside is asked, as all is here, and no bar is drawn while a file is read. Of several GPUs the
    first is taken: TRL refuses to choose."""
    os.environ.setdefault("HF_HUB_OFFLINE", "1")
    if device == "cuda":
        os.environ["CUDA_VISIBLE_DEVICES"] = os.environ.get("CUDA_VISIBLE_DEVICES", "0").split(",")[0]
    import transformers

    transformers.logging.set_verbosity_error()
    transformers.logging.disable_progress_bar()


def _tokenizer(checkpoint: str) -> Any:
    from transformers import AutoTokenizer

    tokenizer = AutoTokenizer.from_pretrained(checkpoint, padding_side="left")
    if tokenizer.eos_token is None:
        raise ValueError(f"{checkpoint}: its tokenizer names no eos_token, so that no answer ever ends; add it there")
    return tokenizer


def _drawn(stage: Stage, params: ProbeRun, problems: list[Problem], tokenizer: Any) -> Split:
    """Problems whose prompt and longest answer have places in the model."""
    from transformers import AutoConfig

    from pretrain.generation.prompts import prompt

    config = AutoConfig.from_pretrained(stage.input("checkpoint"))
    places = getattr(config, "max_position_embeddings", math.inf)
    if params.max_tokens >= places:
        raise ValueError(f"max_tokens={params.max_tokens} leaves no prompt a place: the model has {places} positions; lower it")

    def fits(problem: Problem) -> bool:
        return len(tokenizer(prompt(params.template, problem.question))["input_ids"]) + params.max_tokens <= places

    return split(problems, held_out=params.held_out.problems, seed=params.seed, fits=fits)


def _once(file: Path, make: Any) -> list[dict[str, Any]]:
    """What a run that was interrupted has found out already."""
    if not file.is_file():
        write_atomically(file, orjson.dumps(make()))
    known: list[dict[str, Any]] = orjson.loads(file.read_bytes())
    return known


def silent(answer: dict[str, Any]) -> dict[str, Any]:
    """Of a policy whose weights are no numbers: it says nothing, which is wrong."""
    nothing = {"right": False, "answer": "", "by_math_verify": None, "by_text": False, "trouble": "no_answer"}
    return {"problem": answer["problem"], **nothing, "tokens": 0, "finish": "diverged", "text": ""}


def _write(stage: Stage, drawn: Split, params: ProbeRun, told: list[dict[str, Any]], asked: dict[str, Any]) -> None:
    ids = {problem.number: {"id": problem.id, "gold": problem.answer} for problem in drawn.held_out}
    rows = [{"when": when, **ids[answer["problem"]], **answer} for when, answers in asked.items() for answer in answers]
    write_atomically(stage.folder / curve.ANSWERS, _lines(rows))
    write_atomically(stage.folder / curve.CURVE, _lines([curve.row(step, params) for step in told]))


def _lines(rows: list[dict[str, Any]]) -> bytes:
    return b"".join(orjson.dumps(row) + b"\n" for row in rows)


def _details(params: ProbeRun, before: list[dict[str, Any]], after: list[dict[str, Any]]) -> dict[str, Any]:
    return {
        "arm": params.arm,
        "run": params.run,
        "held_out": {curve.BEFORE: curve.held_out(before), curve.AFTER: curve.held_out(after)},
    }
