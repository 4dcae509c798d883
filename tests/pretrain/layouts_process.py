"""Run on four new processes for every layout: from common weights one step, saved; or every layout's checkpoint loaded, and one
more step from each. The first process writes losses and gradient norms as JSON: {"common": [loss, norm]}, or
{saved under: [loss, norm]}.

New processes, as nothing frees a layout's groups while its model lives, and Megatron's wrapper holds that for good: 50 threads a
process, a third of which wake a hundred times a second. Eight layouts twice in the same four processes make 3,200.
"""

import json
import os
from pathlib import Path
from typing import Any

from pretrain import parallel
from pretrain.backend import Backend
from pretrain.logs import begin_logging
from recipes.schema import Cluster, Parallelism, TrainParams

PROCESSES = 4


class Trained:
    """A model with its optimizer under one layout."""

    def __init__(self, params: TrainParams, layout: parallel.Layout, backend: Backend) -> None:
        from pretrain import model, optim

        self.params, self.layout = params, layout
        self.chunks = model.build(params.model, params.sequence_length, params.precision, backend, layout.parallelism)
        self.wrapped = model.wrap(self.chunks, layout.parallelism.overlap)
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

    def load(self, folder: Path) -> None:
        from pretrain.checkpoint import files, state

        state.load(files.step_folder(folder, 1), self.chunks, self.optimizer)


def run(rank: int, port: int, params: TrainParams, cluster: Cluster, parallelism: Parallelism, request: dict[str, Any]) -> None:
    """One process. `request`: `base` (the common weights) and `save` (folder), or `load` (folders by name); `results` (file)."""
    import torch

    place = {"RANK": rank, "LOCAL_RANK": rank, "WORLD_SIZE": PROCESSES, "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": port}
    os.environ.update({name: str(value) for name, value in place.items()})
    begin_logging(is_first=False)
    layout, backend = parallel.start(params, parallelism, cluster)
    trained = Trained(params, layout, backend)
    shape = (2, params.global_batch_size, params.sequence_length + 1)
    text = torch.randint(params.model.vocab_size, shape, generator=torch.Generator().manual_seed(0))
    results = {}
    if "save" in request:
        trained.begin(request["base"])
        results["common"] = trained.step(text[0])
        trained.save(request["save"])
    for saved, folder in request.get("load", {}).items():
        trained.load(folder)
        results[saved] = trained.step(text[1])
    if layout.is_first:
        request["results"].write_text(json.dumps(results))
    parallel.leave()
