"""What all parts of a page share: strict reading, ranges, and where stages run."""

import difflib
from typing import Annotated, Any, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, model_validator

Share = Annotated[float, Field(ge=0.0, le=1.0)]
Positive = Annotated[int, Field(gt=0)]
NotNegative = Annotated[int, Field(ge=0)]
PositiveFloat = Annotated[float, Field(gt=0.0)]
Name = Annotated[str, Field(min_length=1)]


def nearest(name: str, valid: list[str]) -> str:
    """The end of an error message: the nearest valid name, else all of them."""
    close = difflib.get_close_matches(name, valid, n=1, cutoff=0.5)
    return f"did you mean {close[0]!r}?" if close else f"valid names: {', '.join(sorted(valid)) or 'none'}"


class Strict(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")

    @model_validator(mode="before")
    @classmethod
    def _refuse_unknown_keys(cls, data: Any) -> Any:
        if isinstance(data, dict):
            for key in data:
                if key not in cls.model_fields:
                    raise ValueError(f"unknown key {key!r}; {nearest(str(key), list(cls.model_fields))}")
        return data


class Cluster(Strict):
    """Where stages run. Never part of a stage's identity."""

    device: Literal["cpu", "cuda"]
    nodes: Positive
    processes_per_node: Positive  # training ranks: one a GPU on CUDA
    threads_per_process: Positive
    curation_workers: Positive  # ranks of curation stages that run at the same time
    peak_tflops: PositiveFloat  # dense bf16 peak of one process' device
    mfu: Share  # the share of that peak that plans count with


class Parallelism(Strict):
    """How training is laid out. Data parallelism is what is left: processes / (tensor * pipeline * context)."""

    tensor: Positive = 1
    pipeline: Positive = 1
    context: Positive = 1
    sequence_parallel: bool = False
    micro_batch_size: Positive = 1
    recompute_layers: NotNegative = 0  # of a pipeline stage: activations made again in the backward pass, to save memory


class Cadence(Strict):
    log_every_steps: Positive = 10
    checkpoint_every_steps: Positive = 1000
    keep_checkpoints: Positive = 2
    validate_every_steps: NotNegative = 0  # 0: only at the end


class Model(Strict):
    """A Llama architecture, in Megatron-core's words."""

    num_layers: Positive
    hidden_size: Positive
    ffn_hidden_size: Positive
    num_attention_heads: Positive
    num_query_groups: Positive
    head_dim: Positive
    vocab_size: Positive
    max_position_embeddings: Positive
    rope_theta: PositiveFloat
    rope_scaling_factor: PositiveFloat | None = None  # llama3 scaling with low 1, high 4, original 8192; None: plain RoPE
    tie_embeddings: bool
    norm_eps: PositiveFloat = 1e-5
    init_std: PositiveFloat = 0.02

    @model_validator(mode="after")
    def _heads_divide(self) -> Self:
        if self.num_attention_heads % self.num_query_groups:
            raise ValueError(
                f"num_attention_heads={self.num_attention_heads} is not a multiple of num_query_groups={self.num_query_groups}"
            )
        return self
