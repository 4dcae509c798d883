"""The training loop, top to bottom: build, resume, step, log, validate, save.

After any interruption and a second run, the stage's output files are byte for byte those of an undisturbed run: what a step does
depends on the checkpoint before it, the step's number and what guards have decided, and no time is written outside `logs/`.

Imported by `python -m pretrain FOLDER` after everything was checked that needs no torch, and after the backend was chosen.
"""

import logging
from functools import partial
from pathlib import Path
from typing import Any

from megatron.core.pipeline_parallel import get_forward_backward_func

from pretrain import certificate, convert, model, optim, parallel
from pretrain.agreement import first_decides
from pretrain.backend import Backend
from pretrain.blend import open_blend
from pretrain.branch_points import BranchPoints
from pretrain.checkpoint import digest, files, find, state
from pretrain.checkpoint.save import Saver
from pretrain.data import Batches, HeldOut
from pretrain.ema import Ema
from pretrain.ending import Diverged, Interruption, Mistake
from pretrain.forward import forward_step, loss_and_tokens
from pretrain.guards import Alarm, open_guard
from pretrain.metrics import METRICS, ON_THE_WAY, VALIDATION, cut
from pretrain.parallel import Layout
from pretrain.preflight import Job, has_optimizer
from pretrain.schedule import learning_rate
from pretrain.validate import held_out_bytes, held_out_loss
from pretrain.watch import Outcome, Watch

log = logging.getLogger(__name__)


class Training:
    """One run of a stage's loop, from wherever its checkpoints say."""

    # ------------------------------------------------------------------------------------------------ build

    def __init__(self, job: Job, layout: Layout, backend: Backend) -> None:
        self.job, self.layout, self.params, self.backend = job, layout, job.params, backend
        self.blend = open_blend(job.stage, job.params, job.vocabulary)
        self.held_out = {name: HeldOut(job.stage, dataset, job.params) for name, dataset in job.params.validation.items()}
        tokenizer = Path(job.stage.input("tokenizer"))
        self.text_bytes = {name: held_out_bytes(held_out, tokenizer) for name, held_out in self.held_out.items()}
        length, precision = job.params.sequence_length, job.params.precision
        self.chunks = model.build(job.params.model, length, precision, backend, job.parallelism)
        self.model = model.wrap(self.chunks, job.parallelism.overlap)
        self.optimizer = optim.build(self.model, job.params.optimizer, backend)
        self.ema = Ema(self.optimizer, job.params.ema_decay)
        self.forward_backward = get_forward_backward_func()
        self.branch_points = BranchPoints(job.folder)
        self.saver = Saver(job.folder, layout, is_async=job.cadence.save == "async")
        log.info("%s on %s, layers: %s", job.params.precision, backend.device, backend)

    # ------------------------------------------------------------------------------------------------ the loop

    def run(self, interruption: Interruption) -> str | None:
        """None when the last step is done, else why training stopped before: a checkpoint was saved then."""
        steps = self.params.steps
        step = self.resume()
        reason: str | None = None
        while step < steps and reason is None:
            step += 1
            done = self.step(step, interruption)
            if done.alarm is not None and done.alarm.then == "rewind":
                step = self._go_back(step, done, done.alarm)
                continue
            self.guard.note(step, done.loss, done.alarm)
            if done.alarm is not None and self.layout.is_first:
                self.guard.write(self.job.folder)
            self.watch.step(step, done)
            is_last = step == steps
            if is_last or done.must_stop or step == self.first + 1 or step % self.job.cadence.log_every_steps == 0:
                self.watch.report(step, done, self.backend.peak_memory())
            if is_last or self._is_time(step, self.job.cadence.validate_every_steps):
                self._validate(step)
            if is_last or done.must_stop or done.is_branch_point or self._is_time(step, self.job.cadence.checkpoint_every_steps):
                self._save(step)
            if done.must_stop and not is_last:
                reason = f"asked to stop by {interruption.signal or 'another process'} after step {step:,}"
        self._leave(step, reason)
        return reason

    def step(self, step: int, interruption: Interruption) -> Outcome:
        """One optimizer step. Its update is not made when a guard objects."""
        lap = self.watch.stopwatch.lap
        lr = learning_rate(self.params.lr, step, self.params.steps)
        batch = self.batches.next()
        lap("data")
        parallel.seed(self.params.seed, step)
        for chunk in self.model:
            chunk.zero_grad_buffer()
        self.optimizer.zero_grad()
        optim.apply_settings(self.optimizer, self.params.optimizer, lr)
        outputs = self.forward_backward(
            forward_step_func=forward_step,
            data_iterator=[iter(batch) for _ in self.model] if len(self.model) > 1 else iter(batch),
            model=self.model,
            num_microbatches=self.layout.num_microbatches,
            seq_length=batch[0].tokens.shape[1],
            micro_batch_size=batch[0].tokens.shape[0],
            forward_only=False,
        )
        grad_norm = optim.gradient_norm(self.optimizer)
        is_branch_point = self.layout.is_first and step in self.branch_points.now()
        mine = [*loss_and_tokens(outputs), interruption.is_requested, self.saver.is_written, is_branch_point]
        loss, counted, tokens, stops, written, branches = parallel.sum_over_processes(mine, self.layout)
        assert int(tokens) == self.job.tokens_per_step, f"{tokens} tokens in step {step}, not {self.job.tokens_per_step}"
        loss /= counted
        lap("forward_backward")
        alarm = self.guard.judge(loss, grad_norm)
        if alarm is None:
            optim.update(self.optimizer, grad_norm)
            self.ema.update()
        elif alarm.then == "stop":
            raise Diverged(
                f"step {step}: {alarm.why}: training has diverged, and nothing after the last checkpoint was kept. Lower lr.peak "
                f"({self.params.lr.peak:g}), look at the batch with `midtrain spike RUN --step {step}`, or let `guards` skip it"
            )
        lap("optimizer")
        if written == self.layout.world_size:
            self.saver.finish()
            self._drop_old()
            lap("save")
        return Outcome(loss, grad_norm, lr, alarm, must_stop=stops > 0, is_branch_point=branches > 0)

    def _is_time(self, step: int, every: int) -> bool:
        return every > 0 and step % every == 0

    # ------------------------------------------------------------------------------------------------ resume

    def resume(self) -> int:
        """Fills model and optimizer, opens data and journals; returns the step that they stand after."""
        folder = self.job.folder
        found = find.newest(folder, self.layout)
        if found is not None:
            self.first = state.load(found, self.chunks, self.optimizer, self.ema)
            log.info("going on after step %s of %s", f"{self.first:,}", f"{self.params.steps:,}")
        else:
            self.first = 0
            self._begin()
            self.ema.begin()
        self.guard = open_guard(folder, self.params.guards, self.first)
        self.batches = Batches(self.blend, self.params, self.layout, self.first, self.guard)
        now = self.digest(self.first)
        proof = "began anew"
        if found is not None:
            proof = digest.compare(first_decides(partial(files.complete, found)).get("digest"), now)
            level = logging.INFO if proof == digest.SAME else logging.WARNING
            log.log(level, "state of %s as it was saved and as it was loaded: %s", found.name, proof)
        if self.layout.is_first:  # before they are taken off: they are compared with what the steps give the second time
            certificate.keep_rows(folder, self.first)
        self.watch = Watch(self.job, self.layout, self.first)
        if self.layout.is_first:
            facts = {"processes": self.layout.world_size, "layout": now["layout"], "loaded": found.name if found else None}
            certificate.begin_segment(folder, step=self.first, digest=proof, **facts)
        if found is None:
            self._validate(0)
        return self.first

    def _go_back(self, step: int, done: Outcome, alarm: Alarm) -> int:
        """To before the batches that a guard refuses; the ones after them come next. What those steps left is removed before the
        rewind is on record, and what comes after it begins afterwards: interrupted between any two lines, it ends the same."""
        folder, to = self.job.folder, self.guard.target(step)
        self.saver.finish()
        self.batches.close()
        self.watch.close()
        if self.layout.is_first:
            log.warning("step %s: %s; going back to step %s, without these batches", f"{step:,}", alarm.why, f"{to:,}")
            certificate.end_segment(folder, step, f"{certificate.WENT_BACK} to step {to:,}: {alarm.why}")
            for path in files.present(folder):
                if files.step_of(path) > to:
                    files.remove(path)
            certificate.forget_rows(folder, to)
            for journal in (VALIDATION, ON_THE_WAY):
                cut(folder / journal, to)
            self.guard.rewind(step, alarm, [*cut(folder / METRICS, to), self.watch.row(step, done)])
            self.guard.write(folder)
        return self.resume()

    def _begin(self) -> None:
        """From the Hugging Face weights, or from a checkpoint of the init stage."""
        init, path, params = Path(self.job.stage.input("init")), self.job.init_checkpoint, self.params
        if path is None:
            tensor = self.layout.parallelism.tensor
            for chunk in self.chunks:
                convert.load_hugging_face(chunk, init, params.model, self.layout.rank % tensor, tensor)
            self.optimizer.reload_model_params()
            optim.forget_moments(self.optimizer)  # of steps that a guard has made unmade
            log.info("starting from the weights in %s", init)
            return
        problems = find.damage(path, self.layout)
        if problems:
            raise Mistake(f"the checkpoint {path} of the init stage is damaged: {'; '.join(problems)}; make that stage again")
        has_moments = has_optimizer(init)
        step = state.load(path, self.chunks, self.optimizer if has_moments else None)
        if not has_moments:
            self.optimizer.reload_model_params()
        if not params.load_optimizer:
            optim.forget_moments(self.optimizer)
        with_or_without = "with" if params.load_optimizer else "without"
        log.info("starting from step %s of %s, %s its optimizer state", f"{step:,}", init, with_or_without)

    def digest(self, step: int) -> dict[str, Any]:
        """Of all that the step after `step` depends on."""
        parallel.seed(self.params.seed, step + 1)
        following = self.guard.batch_of(step) + 1  # in the order of the data, whatever a later rewind makes of it
        is_next = following == self.guard.batch_of(step + 1)
        batches = self.batches.ahead() if is_next else self.batches.read(following)
        tensors = [tensor for batch in batches for tensor in batch if tensor is not None]
        return digest.digest(self.chunks, self.optimizer, tensors, self.layout, self.ema.averages)

    # ------------------------------------------------------------------------------------------------ validate, save, leave

    def _validate(self, step: int) -> None:
        with model.whole_weights(self.model):
            self._measure(step)
            if self.ema.is_on and step > 0:
                with self.ema.as_weights(self.model):
                    self._measure(step, "_ema")
        self.watch.stopwatch.restart()

    def _measure(self, step: int, of_what: str = "") -> None:
        for name, held_out in self.held_out.items():
            loss, tokens = held_out_loss(held_out, self.model, self.layout)
            self.watch.validation(step, name + of_what, loss, tokens, self.text_bytes[name])

    def _save(self, step: int) -> None:
        self.watch.sync()
        with model.whole_weights(self.model):
            self.saver.begin(step, self.chunks, self.optimizer, self.digest(step), self.ema)
        self._drop_old()
        self.watch.stopwatch.lap("save")

    def _drop_old(self) -> None:
        if self.layout.is_first:
            cadence = self.job.cadence
            needed = self.guard.needed_checkpoint([files.step_of(path) for path in files.present(self.job.folder)])
            kept = (self.job.tokens_per_step, cadence.keep_every_tokens, self.branch_points.now() | needed)
            files.drop_old(self.job.folder, cadence.keep_checkpoints, *kept)

    def _leave(self, step: int, reason: str | None) -> None:
        self.saver.close()
        self.batches.close()
        self.watch.close()
        if not self.layout.is_first:
            return
        certificate.end_segment(self.job.folder, step, reason or "done")
        if reason is None:
            kept = (self.job.tokens_per_step, self.job.cadence.keep_every_tokens, self.branch_points.now())
            files.drop_old(self.job.folder, 1, *kept)
        else:
            log.info("%s: it is saved, the same command goes on from there", reason)
