"""GRPO by TRL, whose trainer also answers the held-out problems: the policy never leaves it, with vLLM neither.

Weights and optimizer are of 32 bits, whatever the engine computes in: of a learning rate of 1e-6 a weight of bfloat16 would never
hear. All of it is on one GPU: 16 bytes a parameter, 51 GB of a model of 3B. On the CPU the same settings give the same bytes;
GPUs add in an order of their own. Loads torch and TRL.
"""

import logging
import math
import time
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch
from datasets import Dataset
from transformers import AutoModelForCausalLM, PreTrainedTokenizerBase, PrinterCallback, TrainerCallback, set_seed
from trl import GRPOConfig, GRPOTrainer

from pretrain.ending import Interruption
from pretrain.generation import prompts
from pretrain.generation.engine import seed_of
from pretrain.probe import saves
from pretrain.probe.reward import Rewards
from pretrain.probe.split import Split, in_turn
from pretrain.problems.problem import Problem
from recipes.schema import Cluster, Serving
from recipes.schema.prove import ProbeRun
from recipes.stage import report_progress

log = logging.getLogger(__name__)
SAVE_EVERY_STEPS = 10  # a save costs a 3B model a minute, a step several
KEPT_SAVES = 2  # the newest may be unfinished
HELD_OUT_BATCH = 64  # answers at a time; decides draws, and so is no matter of serving
SHARED_GPU = 3  # vLLM may take a third of what it takes alone: the trainer has the rest
PROGRESS_SECONDS = 0.5
OLD_NAMES = "`is_gradient_checkpointing` is deprecated"  # which TRL 1.16 calls and transformers 5.20 renamed


class Policy:
    """A checkpoint that learns. `folder`: of its saves, whence it goes on after an interruption."""

    def __init__(
        self,
        checkpoint: str,
        tokenizer: PreTrainedTokenizerBase,
        rewards: Rewards,
        drawn: Split,
        folder: Path,
        serving: Serving,
        cluster: Cluster,
    ):
        self.params, self.rewards, self.folder = rewards.params, rewards, folder
        self.seed = seed_of(self.params.seed, self.params.run, "draws") % (1 << 31)
        torch.set_num_threads(cluster.threads_per_process)
        with _known_warnings():
            self.trainer = GRPOTrainer(
                model=AutoModelForCausalLM.from_pretrained(checkpoint, dtype=torch.float32),
                reward_funcs=[rewards],
                args=_config(self.params, folder, serving, cluster, self.seed, self._longest(drawn, tokenizer)),
                train_dataset=self._rows(in_turn(drawn.training, self.params.steps * self.params.questions, self.seed)),
                processing_class=tokenizer,
            )
        self.trainer.remove_callback(PrinterCallback)

    def _rows(self, problems: Sequence[Problem]) -> Dataset:
        asked = [prompts.prompt(self.params.template, problem.question) for problem in problems]
        return Dataset.from_dict(
            {
                "prompt": asked,
                "gold": [problem.answer for problem in problems],
                "problem": [problem.number for problem in problems],
            }
        )

    def _longest(self, drawn: Split, tokenizer: PreTrainedTokenizerBase) -> int:
        """Tokens of the longest prompt with its longest answer: vLLM keeps room for no more, of a window of 131,072."""
        asked = (prompts.prompt(self.params.template, problem.question) for problem in (*drawn.training, *drawn.held_out))
        return max(len(tokenizer(text)["input_ids"]) for text in asked) + self.params.max_tokens

    def answer(self, problems: Sequence[Problem]) -> list[dict[str, Any]]:
        """Some answers to each, drawn by the same numbers whenever they are asked."""
        set_seed(self.seed)
        self.rewards.is_training, self.rewards.answers = False, []
        with _known_warnings():
            self.trainer.evaluate(self._rows(problems))
        return self.rewards.answers

    def learn(self, interruption: Interruption, stage_folder: Path) -> list[dict[str, Any]]:
        """What TRL tells of every step. Fewer than were asked for: it was interrupted, or its last gradient is no number."""
        set_seed(self.seed + 1)
        self.rewards.is_training = True
        watch = Watch(interruption, stage_folder, self.params)
        self.trainer.add_callback(watch)
        with _known_warnings():
            self.trainer.train(resume_from_checkpoint=saves.newest(self.folder))
        return [row for row in self.trainer.state.log_history if "reward" in row]


class Watch(TrainerCallback):  # type: ignore[misc]
    """Looks at each step: tells how far it is, ends what diverged, and saves and ends what was interrupted."""

    def __init__(self, interruption: Interruption, stage_folder: Path, params: ProbeRun):
        self.interruption, self.stage_folder, self.params = interruption, stage_folder, params
        self.told = 0.0

    def on_log(self, args: Any, state: Any, control: Any, logs: dict[str, Any], **_: Any) -> None:
        if "reward" not in logs:
            return
        step = state.global_step // self.params.updates
        report_progress(self.stage_folder, 0, step, self.params.steps, "steps")
        if step in (1, self.params.steps) or time.monotonic() > self.told + PROGRESS_SECONDS:
            self.told = time.monotonic()
            right = logs["right"] / (self.params.questions * self.params.rollouts)
            length = logs["completions/mean_length"]
            told = (step, self.params.steps, right, length, logs["entropy"])
            log.info("step %s/%s | right %.3f | length %.0f | entropy %.3f", *told)
        if diverged(logs):
            control.should_training_stop = True

    def on_step_end(self, args: Any, state: Any, control: Any, **_: Any) -> None:
        """Rollouts are kept nowhere: a save stands between steps."""
        if state.global_step % self.params.updates:
            return
        if self.interruption.is_requested:
            control.should_save = control.should_training_stop = True

    def on_save(self, args: Any, state: Any, control: Any, **_: Any) -> None:
        saves.mark_whole(Path(args.output_dir), state.global_step)


def diverged(row: dict[str, Any]) -> bool:
    return not all(math.isfinite(float(row[key])) for key in ("loss", "grad_norm"))


def _config(params: ProbeRun, folder: Path, serving: Serving, cluster: Cluster, seed: int, longest: int) -> GRPOConfig:
    on_cpu, num = cluster.device == "cpu", params.questions * params.rollouts
    an_update = num // params.updates
    at_a_time = max(size for size in range(1, min(serving.batch_size, an_update) + 1) if an_update % size == 0)
    samples = params.held_out.samples
    return GRPOConfig(
        output_dir=str(folder),
        seed=seed,
        use_cpu=on_cpu,
        bf16=params.engine.dtype == "bfloat16",
        activation_checkpointing=not on_cpu,
        max_steps=params.steps * params.updates,
        generation_batch_size=num,
        num_generations=params.rollouts,
        shuffle_dataset=False,
        per_device_train_batch_size=at_a_time,
        gradient_accumulation_steps=an_update // at_a_time,
        num_generations_eval=samples,
        per_device_eval_batch_size=samples * max(1, HELD_OUT_BATCH // samples),
        max_completion_length=params.max_tokens,
        temperature=params.temperature,
        top_p=params.top_p,
        beta=params.kl,
        loss_type=params.loss,
        learning_rate=params.learning_rate,
        lr_scheduler_type="constant_with_warmup",
        warmup_steps=params.warmup_updates,
        use_vllm=params.engine.kind == "vllm",
        vllm_max_model_length=longest,
        vllm_gpu_memory_utilization=serving.gpu_memory_share / SHARED_GPU,
        logging_steps=params.updates,
        logging_nan_inf_filter=False,
        save_steps=SAVE_EVERY_STEPS * params.updates,
        save_total_limit=KEPT_SAVES,
        report_to=[],
        disable_tqdm=True,
        dataloader_pin_memory=not on_cpu,
    )


@contextmanager
def _known_warnings() -> Iterator[None]:
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message=OLD_NAMES, category=FutureWarning)
        yield
