"""The training loop, top to bottom: build, resume, step, log, validate, save.

After any interruption and a second run, the stage's output files are byte for byte those of an undisturbed run: what a step does
depends on the checkpoint before it and the step's number alone, and no time is written outside `logs/`.
"""

import json
import logging
import math
import statistics
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

from megatron.core.pipeline_parallel import get_forward_backward_func

from pretrain import checkpoint, convert, cost, ledger, model, optim
from pretrain.data import Batch, Batches, HeldOut, open_blend
from pretrain.ending import Diverged, Interruption
from pretrain.forward import forward_step, loss_and_tokens
from pretrain.metrics import METRICS, ON_THE_WAY, SPEED, VALIDATION, Journal, read_journal
from pretrain.parallel import Layout, sum_over_processes
from pretrain.tokens import Vocabulary
from pretrain.validate import held_out_loss
from recipes.manifest import describe_files, output_files, publish, read_manifest
from recipes.schema import Cadence, Cluster, TrainParams
from recipes.stage import Stage, report_progress, write_atomically

if TYPE_CHECKING:
    from megatron.core.models.gpt.gpt_model import GPTModel
    from megatron.core.optimizer.optimizer import MegatronOptimizer

STARTS = Path("logs") / "starts.jsonl"
SECONDS_BETWEEN_PROGRESS = 0.25
log = logging.getLogger(__name__)


class Training:
    """One run of a stage's loop, from wherever its checkpoints say."""

    def __init__(
        self, stage: Stage, params: TrainParams, cluster: Cluster, cadence: Cadence, layout: Layout, vocabulary: Vocabulary
    ) -> None:
        self.stage, self.params, self.cadence, self.layout = stage, params, cadence, layout
        self.tokens_per_step = params.global_batch_size * params.sequence_length
        self.flops_per_token = cost.flops_per_token(params.model, params.sequence_length)
        self.peak_flops = cluster.peak_tflops * 1e12 * layout.world_size

        self.blend = open_blend(stage, params, vocabulary)
        self.held_out = {name: HeldOut(stage, dataset, params) for name, dataset in params.validation.items()}
        device = layout.device
        self.gpt: GPTModel = model.build(params.model, params.sequence_length, params.precision, device, layout.parallelism)
        self.model = model.wrap(self.gpt, params.precision, device)
        self.optimizer: MegatronOptimizer = optim.build([self.model], params.optimizer, params.precision)
        self.gpt.config.grad_scale_func = self.optimizer.scale_loss
        self.forward_backward = get_forward_backward_func()

    # ------------------------------------------------------------------------------------------------ the loop

    def run(self, interruption: Interruption) -> bool:
        """True when the last step is done, False when a signal asked to stop and a checkpoint was saved."""
        params, cadence = self.params, self.cadence
        first = self._resume()
        self._open_journals(first)
        batches = Batches(self.blend, params, self.layout)
        since, last_report = time.perf_counter(), first

        for step, batch in enumerate(batches.steps(first, params.steps), start=first + 1):
            lr = optim.learning_rate(params.lr, step, params.steps)
            loss, grad_norm, must_stop = self._step(step, batch, lr, interruption.is_requested)
            is_last = step == params.steps
            self._record(step, loss, grad_norm, lr)

            if step == first + 1 or step % cadence.log_every_steps == 0 or is_last or must_stop:
                now = time.perf_counter()
                self._report(step, loss, grad_norm, lr, seconds=(now - since) / (step - last_report))
                since, last_report = now, step
            if is_last or (cadence.validate_every_steps and step % cadence.validate_every_steps == 0):
                self._validate(step)
                since, last_report = time.perf_counter(), step
            if is_last or must_stop or step % cadence.checkpoint_every_steps == 0:
                self._save(step)
                since, last_report = time.perf_counter(), step
            if must_stop and not is_last:
                log.info("asked to stop: step %s is saved, the same command goes on from there", f"{step:,}")
                batches.close()
                return False
        batches.close()
        if self.layout.is_first:
            checkpoint.drop_old(self.stage.folder, keep=1)
        return True

    def _step(self, step: int, batch: list[Batch], lr: float, is_asked_to_stop: bool) -> tuple[float, float, bool]:
        """One optimizer step: the mean loss a token and the gradient's norm over all processes, and whether any of them was asked
        to stop."""
        self.model.zero_grad_buffer()
        self.optimizer.zero_grad()
        optim.apply_settings(self.optimizer, self.params.optimizer, lr)
        outputs = self.forward_backward(
            forward_step_func=forward_step,
            data_iterator=iter(batch),
            model=[self.model],
            num_microbatches=self.layout.num_microbatches,
            seq_length=self.params.sequence_length,
            micro_batch_size=self.layout.parallelism.micro_batch_size,
            forward_only=False,
        )
        _, grad_norm, _ = self.optimizer.step()
        grad_norm = float(grad_norm)
        loss, tokens, stops = sum_over_processes([*loss_and_tokens(outputs), float(is_asked_to_stop)], self.layout)
        assert int(tokens) == self.tokens_per_step, f"{tokens} tokens in step {step}, not {self.tokens_per_step}"
        loss /= tokens
        if not (math.isfinite(loss) and math.isfinite(grad_norm)):
            raise Diverged(
                f"step {step}: loss {loss}, gradient norm {grad_norm}: training has diverged, and nothing after the last "
                f"checkpoint was kept. Lower lr.peak ({self.params.lr.peak:g}), or look at the batch with: "
                f"midtrain trace RUN --step {step}"
            )
        return loss, grad_norm, stops > 0

    # ------------------------------------------------------------------------------------------------ start

    def _resume(self) -> int:
        """Fills model and optimizer; returns the step that they stand after."""
        folder, params = self.stage.folder, self.params
        if self.layout.is_first:
            checkpoint.drop_unfinished(folder)
        found = checkpoint.newest(folder, self.layout)
        if found is not None:
            step = checkpoint.load(found, self.gpt, self.optimizer)
            log.info("going on after step %s of %s", f"{step:,}", f"{params.steps:,}")
            return step
        init = Path(self.stage.input("init"))
        if not params.init_from_stage:
            convert.load_hugging_face(self.gpt, init, params.model, *self._tensor_place())
            self.optimizer.reload_model_params()
            log.info("starting from the weights in %s", init)
            return 0
        path = init / read_manifest(init)["details"]["checkpoint"]
        problems = checkpoint.damage(path, self.layout)
        if problems:
            raise ValueError(f"the checkpoint {path} of the init stage is damaged: {'; '.join(problems)}; make that stage again")
        step = checkpoint.load(path, self.gpt, self.optimizer)
        if not params.load_optimizer:
            optim.forget_moments(self.optimizer)
        log.info(
            "starting from step %s of %s, %s its optimizer state",
            f"{step:,}",
            init,
            "with" if params.load_optimizer else "without",
        )
        return 0

    def _tensor_place(self) -> tuple[int, int]:
        return self.layout.rank % self.layout.parallelism.tensor, self.layout.parallelism.tensor

    def _open_journals(self, step: int) -> None:
        if not self.layout.is_first:
            return
        folder = self.stage.folder
        self.metrics = Journal(folder / METRICS, keep_to_step=step)
        self.validation = Journal(folder / VALIDATION, keep_to_step=step)
        self.on_the_way = Journal(folder / ON_THE_WAY, keep_to_step=step)
        self.speed = Journal(folder / SPEED, keep_to_step=None)
        starts = Journal(folder / STARTS, keep_to_step=None)
        starts.write(step=step, processes=self.layout.world_size)
        starts.close()
        self.last_progress = 0.0

    # ------------------------------------------------------------------------------------------------ after a step

    def _record(self, step: int, loss: float, grad_norm: float, lr: float) -> None:
        if not self.layout.is_first:
            return
        self.metrics.write(step=step, loss=loss, grad_norm=grad_norm, lr=lr, tokens_seen=step * self.tokens_per_step)
        now = time.monotonic()
        if now - self.last_progress >= SECONDS_BETWEEN_PROGRESS or step == self.params.steps:
            report_progress(self.stage.folder, 0, step, self.params.steps, "steps")
            self.last_progress = now

    def _report(self, step: int, loss: float, grad_norm: float, lr: float, seconds: float) -> None:
        if not self.layout.is_first:
            return
        steps = self.params.steps
        rate = self.tokens_per_step / seconds
        mfu = rate * self.flops_per_token / self.peak_flops
        self.speed.write(step=step, tokens_per_second=round(rate, 1), step_seconds=round(seconds, 4), mfu=round(mfu, 5))
        log.info(
            "step %*s/%s | tokens %s | loss %.4f | lr %.2e | grad %.2f | %s tok/s | mfu %4.1f | eta %s",
            len(f"{steps:,}"), f"{step:,}", f"{steps:,}", _short(step * self.tokens_per_step), loss, lr, grad_norm, _short(rate),
            100 * mfu, _duration((steps - step) * seconds),
        )  # fmt: skip

    def _validate(self, step: int) -> None:
        for name, held_out in self.held_out.items():
            loss, tokens = held_out_loss(held_out, self.model, self.layout)
            if self.layout.is_first:
                journal = self.validation if step == self.params.steps else self.on_the_way
                journal.write(step=step, name=name, loss=loss, tokens=tokens)
                log.info("validation %s | loss %.4f on %s tokens", name, loss, f"{tokens:,}")

    def _save(self, step: int) -> None:
        if self.layout.is_first:
            for journal in (self.metrics, self.validation):
                journal.sync()
        checkpoint.save(self.stage.folder, step, self.gpt, self.optimizer, self.layout)
        if self.layout.is_first:
            checkpoint.drop_old(self.stage.folder, self.cadence.keep_checkpoints)

    # ------------------------------------------------------------------------------------------------ the end

    def publish(self, started: float) -> None:
        """Ledger and manifest. The first process calls this."""
        folder, params = self.stage.folder, self.params
        rows = ledger.ledger(folder, params.steps)
        write_atomically(folder / "ledger.json", json.dumps(rows, indent=2).encode())
        metrics, validation = read_journal(folder / METRICS), read_journal(folder / VALIDATION)
        last = checkpoint.step_folder(folder, params.steps)
        publish(
            self.stage,
            counts={"steps": params.steps, "tokens": params.steps * self.tokens_per_step},
            started=started,
            files=_described(folder, last),
            details={
                "loss": {"first": metrics[0]["loss"], "last": metrics[-1]["loss"]},
                "validation": {row["name"]: row["loss"] for row in validation if row["step"] == params.steps},
                "ledger": rows,
                "parameters": cost.num_parameters(params.model),
                "flops_per_token": self.flops_per_token,
                "tokens_per_second": statistics.median(row["tokens_per_second"] for row in read_journal(folder / SPEED)),
                "checkpoint": last.relative_to(folder).as_posix(),
                "segments": len(read_journal(folder / STARTS)),
            },
        )


def _described(folder: Path, last: Path) -> list[dict[str, Any]]:
    """All output files; those of the checkpoint were hashed when they were written."""
    hashes = json.loads((last / checkpoint.COMPLETE).read_bytes())["files"]
    described = [
        {"path": (last / name).relative_to(folder).as_posix(), "bytes": (last / name).stat().st_size, "sha256": sha256}
        for name, sha256 in hashes.items()
    ]
    known = {last / name for name in hashes}
    described += describe_files(folder, [file for file in output_files(folder) if file not in known])
    return sorted(described, key=lambda entry: str(entry["path"]))


def _short(number: float) -> str:
    for unit, size in (("T", 1e12), ("B", 1e9), ("M", 1e6), ("k", 1e3)):
        if number >= size:
            return f"{number / size:.3g}{unit}"
    return f"{number:.3g}"


def _duration(seconds: float) -> str:
    minutes, seconds = divmod(int(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    days, hours = divmod(hours, 24)
    parts = [(days, "d"), (hours, "h"), (minutes, "m"), (seconds, "s")]
    first = next((i for i, (value, _) in enumerate(parts) if value), 3)
    return " ".join(f"{value}{unit}" for value, unit in parts[first : first + 2])
