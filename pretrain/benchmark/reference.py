"""The other side: transformers' LlamaForCausalLM, torch's SDPA and fused AdamW; on CUDA with torch.compile.

The same weights, batches, micro-batches, clipping and weight decay as ours. In bf16 its weights and moments are bf16 and nothing
else, which is less work and less exact than ours, who keep float32 weights, moments and gradients.
"""

from pathlib import Path

import numpy as np

from pretrain.benchmark.ours import BATCHES
from recipes.schema import TrainParams
from recipes.stage import read_stage


class Reference:
    """Lives in a process of its own, without megatron-core."""

    def __init__(self, folder: Path) -> None:
        import torch
        from transformers import AutoModelForCausalLM

        from pretrain.parity import quieten

        quieten()
        stage = read_stage(folder)
        self.params, self.device = TrainParams.model_validate(stage.params), stage.run["cluster"]["device"]
        torch.set_num_threads(stage.run["cluster"]["threads_per_process"])
        with np.load(folder / BATCHES) as batches:
            self.tokens, self.labels = (torch.from_numpy(batches[name]).to(self.device) for name in ("tokens", "labels"))
        dtype = torch.float32 if self.params.precision == "fp32" else torch.bfloat16
        model = AutoModelForCausalLM.from_pretrained(stage.input("init"), dtype=dtype, attn_implementation="sdpa")
        model.to(self.device).train()
        settings = self.params.optimizer
        parameters = list(model.parameters())
        groups = [
            {"params": [p for p in parameters if p.ndim > 1], "weight_decay": settings.weight_decay},
            {"params": [p for p in parameters if p.ndim == 1], "weight_decay": 0.0},
        ]
        self.optimizer = torch.optim.AdamW(
            groups, lr=self.params.lr.peak, betas=(settings.beta1, settings.beta2), eps=settings.eps, fused=True
        )
        self.parameters = parameters
        self.model = torch.compile(model) if self.device == "cuda" else model
        self.path = f"transformers with torch SDPA{' and torch.compile' if self.device == 'cuda' else ''}, {dtype}"
        self.number = 0

    def step(self) -> float:
        """The loss. Batches come round again."""
        import torch
        import torch.nn.functional as F

        place = self.number % len(self.tokens)
        sequences = self.tokens[place].split(1), self.labels[place].split(1)
        total = torch.zeros((), device=self.device)
        for tokens, labels in zip(*sequences, strict=True):
            logits = self.model(input_ids=tokens, use_cache=False).logits
            loss = F.cross_entropy(logits.float().flatten(0, 1), labels.flatten()) / len(sequences[0])
            loss.backward()
            total += loss.detach()
        torch.nn.utils.clip_grad_norm_(self.parameters, self.params.optimizer.grad_clip)
        self.optimizer.step()
        self.optimizer.zero_grad()
        self.number += 1
        return float(total)

    def peak_memory(self) -> int:
        import resource

        import torch

        is_cuda = self.device == "cuda"
        return torch.cuda.max_memory_allocated() if is_cuda else resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
