"""AdamW under Megatron's distributed optimizer, set before every step to what this stage's recipe says.

A checkpoint's parameter groups carry the learning rate, its maximum and the weight decay of the run that saved them, and
Megatron's own scheduler prefers them to what was asked (0.16.1: asked 5e-4 after a stage at 1e-3, got 1e-3, no message). So there
is no scheduler here: before every step all groups are set, whatever was loaded.
"""

from typing import TYPE_CHECKING, Any

from recipes.schema import Optimizer

if TYPE_CHECKING:
    from megatron.core.optimizer.optimizer import MegatronOptimizer

    from pretrain.backend import Backend


def build(chunks: list[Any], settings: Optimizer, backend: "Backend") -> "MegatronOptimizer":
    from megatron.core.optimizer import OptimizerConfig, get_megatron_optimizer

    model_config = chunks[0].config
    config = OptimizerConfig(
        optimizer="adam",
        lr=0.0,  # set before every step
        weight_decay=settings.weight_decay,
        adam_beta1=settings.beta1,
        adam_beta2=settings.beta2,
        adam_eps=settings.eps,
        clip_grad=settings.grad_clip,
        bf16=model_config.bf16,
        params_dtype=model_config.params_dtype,
        use_distributed_optimizer=True,
        overlap_param_gather=chunks[0].ddp_config.overlap_param_gather,
    )
    optimizer = get_megatron_optimizer(config, chunks)
    backend.repair(optimizer)
    model_config.grad_scale_func = optimizer.scale_loss
    return optimizer


def gradient_norm(optimizer: "MegatronOptimizer") -> float:
    """Hands the model's gradients to the optimizer, and returns their norm over all processes."""
    optimizer.prepare_grads()
    return float(optimizer.get_grad_norm())


def update(optimizer: "MegatronOptimizer", norm: float) -> None:
    """Clips the gradients that `gradient_norm` handed over, and takes the step. The two are MegatronOptimizer.step in halves, so
    that a step can be refused between them."""
    from megatron.core.optimizer.clip_grads import clip_grad_by_total_norm_fp32

    for part in optimizer.chained_optimizers:
        clip_grad_by_total_norm_fp32(part.get_parameters(), part.config.clip_grad, norm)
    optimizer.step_with_ready_grads()


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
