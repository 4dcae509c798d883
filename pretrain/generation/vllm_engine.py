"""vLLM as the engine: on GPUs, many times as fast. It batches as it likes, and rounding with it: a greedy answer may differ from
transformers' where two tokens are as good as equal, and draws are its own (seeded for each answer). It does not tell the entropy.
"""

from collections.abc import Sequence
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from transformers import AutoConfig, AutoTokenizer, GenerationConfig

from pretrain.generation.controller import Control
from pretrain.generation.engine import Asked, Finish, Output, Sampling
from pretrain.generation.text_ends import ends_of_text, seam
from recipes import schema

LARGEST_SEED = 2**63 - 1  # vLLM's seeds are signed


class VllmEngine:
    def __init__(self, checkpoint: Path, engine: schema.Engine, serving: schema.Serving):
        if find_spec("vllm") is None:
            raise ValueError("engine.kind: vllm, but vLLM is not installed; pip install vllm, or take engine.kind=transformers")
        self.vllm: Any = import_module("vllm")
        self.llm: Any = self.vllm.LLM(
            model=str(checkpoint), dtype=engine.dtype, gpu_memory_utilization=serving.gpu_memory_share, seed=0
        )
        self.tokenizer: Any = AutoTokenizer.from_pretrained(checkpoint, local_files_only=True)
        self.max_positions = int(self.llm.llm_engine.model_config.max_model_len)
        self.eos = ends_of_text(_generation_config(checkpoint), self.tokenizer)

    def encode(self, text: str) -> list[int]:
        return list(self.tokenizer(text)["input_ids"])

    def generate(self, asked: Sequence[Asked], sampling: Sampling, control: Control | None = None) -> list[Output]:
        if control is not None:
            raise ValueError("answers are steered token by token with engine.kind=transformers alone, not with vllm")
        prompts = [self.encode(question.prompt) for question in asked]
        fitting = [number for number, ids in enumerate(prompts) if len(ids) < self.max_positions]
        answers = self.llm.generate(
            [{"prompt_token_ids": prompts[number]} for number in fitting],
            [self._params(asked[number], sampling, self.max_positions - len(prompts[number])) for number in fitting],
            use_tqdm=False,
        )
        outputs = [Output("", 0, "too_long") for _ in asked]
        for number, answer in zip(fitting, answers, strict=True):
            outputs[number] = _output(answer.outputs[0])
        return outputs

    def _params(self, asked: Asked, sampling: Sampling, room: int) -> Any:
        """Only the ends of text that transformers would take end an answer: vLLM adds the tokenizer's of its own accord."""
        return self.vllm.SamplingParams(
            max_tokens=min(sampling.max_tokens, room),
            temperature=sampling.temperature,
            top_p=sampling.top_p or 1e-9,  # vLLM wants it above 0; both leave the likeliest
            stop=list(sampling.stop) or None,
            seed=asked.seed & LARGEST_SEED,
            ignore_eos=True,
            stop_token_ids=sorted(self.eos),
            skip_special_tokens=False,
        )

    def log_likelihoods(self, pairs: Sequence[tuple[str, str]]) -> list[float | None]:
        before = [self.encode(prompt) for prompt, _ in pairs]
        both = [self.encode(prompt + continuation) for prompt, continuation in pairs]
        fitting = [number for number, ids in enumerate(both) if len(ids) < self.max_positions]  # it generates one token more
        answers = self.llm.generate(
            [{"prompt_token_ids": both[number]} for number in fitting],
            self.vllm.SamplingParams(max_tokens=1, temperature=0.0, prompt_logprobs=1),
            use_tqdm=False,
        )
        found: list[float | None] = [None] * len(pairs)
        for number, answer in zip(fitting, answers, strict=True):
            ids = both[number]
            found[number] = sum(
                answer.prompt_logprobs[place][ids[place]].logprob for place in range(seam(before[number], ids), len(ids))
            )
        return found

    def close(self) -> None:
        """The GPU's memory comes back when the engine's processes end with its last reference."""
        self.llm = None


def _generation_config(checkpoint: Path) -> GenerationConfig:
    """As transformers makes it for a model: of the folder's file, else of its config.json."""
    if (checkpoint / "generation_config.json").is_file():
        return GenerationConfig.from_pretrained(checkpoint, local_files_only=True)
    return GenerationConfig.from_model_config(AutoConfig.from_pretrained(checkpoint, local_files_only=True))


def _output(answer: Any) -> Output:
    """`stop_reason`: the stop string, or the id of an end of text."""
    finish: Finish = "length"
    if answer.finish_reason == "stop":
        finish = "stop" if isinstance(answer.stop_reason, str) else "eos"
    return Output(answer.text, len(answer.token_ids), finish, None, tuple(answer.token_ids))
