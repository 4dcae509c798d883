"""Run by torchrun on four processes: from common weights, one step under every layout, saved; then every one of these checkpoints
loaded under every layout, and one more step. Prints losses and gradient norms as JSON: {"common": {layout: [loss, norm]},
saved under: {loaded under: [loss, norm]}}.
"""

import json
import os
import sys
from pathlib import Path
from typing import Any

from pretrain import parallel
from pretrain.backend import Backend
from pretrain.logs import begin_logging
from recipes.schema import Parallelism, TrainParams


class Trained:
    """A model with its optimizer under one layout."""

    def __init__(self, parallelism: Parallelism, params: TrainParams, backend: Backend) -> None:
        from pretrain import model, optim

        self.params = params
        self.layout = parallel.arrange(params, parallelism, "cpu")
        self.chunks = model.build(params.model, params.sequence_length, params.precision, backend, parallelism)
        self.wrapped = model.wrap(self.chunks, parallelism.overlap)
        self.optimizer = optim.build(self.wrapped, params.optimizer, backend)

    def begin(self, weights: Path) -> None:
        from pretrain import convert

        tensor = self.layout.parallelism.tensor
        for chunk in self.chunks:
            convert.load_hugging_face(chunk, weights, self.params.model, self.layout.rank % tensor, tensor)
        self.optimizer.reload_model_params()

    def step(self, text: Any) -> list[float]:
        """On (sequences, length + 1) tokens; returns the loss and the gradient's norm."""
        from megatron.core.pipeline_parallel import get_forward_backward_func

        from pretrain import optim
        from pretrain.forward import forward_step, loss_and_tokens

        layout, size = self.layout, self.layout.parallelism.micro_batch_size
        firsts = [(i * layout.data_size + layout.data_rank) * size for i in range(layout.num_microbatches)]
        batch = [(text[first : first + size, :-1], text[first : first + size, 1:]) for first in firsts]
        for chunk in self.wrapped:
            chunk.zero_grad_buffer()
        self.optimizer.zero_grad()
        optim.apply_settings(self.optimizer, self.params.optimizer, 1e-2)
        outputs = get_forward_backward_func()(
            forward_step_func=forward_step,
            data_iterator=[iter(batch) for _ in self.wrapped] if len(self.wrapped) > 1 else iter(batch),
            model=self.wrapped,
            num_microbatches=layout.num_microbatches,
            seq_length=self.params.sequence_length,
            micro_batch_size=size,
            forward_only=False,
        )
        norm = optim.gradient_norm(self.optimizer)
        loss, tokens, _ = parallel.sum_over_processes(loss_and_tokens(outputs), layout)
        optim.update(self.optimizer, norm)
        return [loss / tokens, norm]

    def save(self, folder: Path) -> None:
        from pretrain import model
        from pretrain.checkpoint.save import Saver

        saver = Saver(folder, self.layout, is_async=False)
        with model.whole_weights(self.wrapped):
            saver.begin(1, self.chunks, self.optimizer, {})
        saver.close()


def main(layouts: dict[str, Parallelism], params: TrainParams, base: Path, root: Path) -> None:
    begin_logging(is_first=False)
    rank = int(os.environ["RANK"])
    backend = parallel.join("cpu", rank, 4, threads=1)
    import torch
    from megatron.core import parallel_state

    from pretrain.checkpoint import files, state

    shape = (2, params.global_batch_size, params.sequence_length + 1)
    text = torch.randint(params.model.vocab_size, shape, generator=torch.Generator().manual_seed(0))
    results: dict[str, dict[str, list[float]]] = {name: {} for name in ("common", *layouts)}
    for name, parallelism in layouts.items():
        trained = Trained(parallelism, params, backend)
        trained.begin(base)
        results["common"][name] = trained.step(text[0])
        trained.save(root / name)
        parallel_state.destroy_model_parallel()
    for name, parallelism in layouts.items():
        trained = Trained(parallelism, params, backend)
        for saved in layouts:
            state.load(files.step_folder(root / saved, 1), trained.chunks, trained.optimizer)
            results[saved][name] = trained.step(text[1])
        parallel_state.destroy_model_parallel()
    if rank == 0:
        print(json.dumps(results))
    torch.distributed.destroy_process_group()


if __name__ == "__main__":
    request = json.loads(sys.argv[1])
    main(
        {name: Parallelism.model_validate(layout) for name, layout in request["layouts"].items()},
        TrainParams.model_validate(request["params"]),
        Path(request["base"]),
        Path(request["root"]),
    )
