"""AdamW under Megatron's distributed optimizer, and the learning rate as a pure function of the step.

A checkpoint's parameter groups carry the learning rate, its maximum and the weight decay of the run that saved them, and
Megatron's own scheduler prefers them to what was asked (0.16.1: asked 5e-4 after a stage at 1e-3, got 1e-3, no message). So there
is no scheduler here: before every step all groups are set to what this stage's recipe says, whatever was loaded.
"""

import math
from typing import TYPE_CHECKING, Any

from recipes.schema import LearningRate, Optimizer

if TYPE_CHECKING:
    from megatron.core.optimizer.optimizer import MegatronOptimizer


def learning_rate(lr: LearningRate, step: int, steps: int) -> float:
    """Of step 1..steps. Warm-up is linear from peak / warmup_steps; a decay has `peak` at its first step, `end` at its last."""
    if step <= lr.warmup_steps:
        return lr.peak * step / lr.warmup_steps
    if lr.end is None:
        return lr.peak
    last = steps - lr.warmup_steps - 1
    progress = (step - lr.warmup_steps - 1) / last if last else 1.0
    way = progress if lr.schedule == "linear" else 0.5 * (1.0 - math.cos(math.pi * progress))
    return lr.peak * (1.0 - way) + lr.end * way  # exactly peak at the first step and end at the last


def build(chunks: list[Any], settings: Optimizer, precision: str) -> "MegatronOptimizer":
    import torch
    from megatron.core.optimizer import USING_PYTORCH_OPTIMIZER, OptimizerConfig, get_megatron_optimizer

    bf16 = precision == "bf16"
    config = OptimizerConfig(
        optimizer="adam",
        lr=0.0,  # set before every step
        weight_decay=settings.weight_decay,
        adam_beta1=settings.beta1,
        adam_beta2=settings.beta2,
        adam_eps=settings.eps,
        clip_grad=settings.grad_clip,
        bf16=bf16,
        params_dtype=torch.bfloat16 if bf16 else torch.float32,
        use_distributed_optimizer=True,
    )
    optimizer = get_megatron_optimizer(config, chunks)
    if USING_PYTORCH_OPTIMIZER:
        from pretrain.cpu_parts import repair_torch_adam

        repair_torch_adam(optimizer)
    return optimizer


def apply_settings(optimizer: "MegatronOptimizer", settings: Optimizer, lr: float) -> None:
    """What the next step shall use. Norms and biases are not decayed: their groups have wd_mult 0."""
    for group in optimizer.param_groups:
        group["lr"] = lr * group.get("lr_mult", 1.0)
        group["weight_decay"] = settings.weight_decay * group.get("wd_mult", 1.0)
        group["betas"] = (settings.beta1, settings.beta2)
        group["eps"] = settings.eps
        for bound in ("max_lr", "min_lr"):
            if bound in group:
                group[bound] = None


def forget_moments(optimizer: "MegatronOptimizer") -> None:
    """Starts AdamW anew on the loaded float32 weights."""
    for part in optimizer.chained_optimizers:
        for state in part.optimizer.state.values():
            for name in ("exp_avg", "exp_avg_sq"):
                state[name].zero_()
            if "step" in state:
                state["step"].zero_()
        for group in part.optimizer.param_groups:
            if "step" in group:
                group["step"] = 0
