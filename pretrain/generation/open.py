"""Opens the engine that a page names."""

from pathlib import Path

from pretrain.generation.engine import Engine
from recipes import schema


def open_engine(checkpoint: Path | str, engine: schema.Engine, serving: schema.Serving, threads: int = 1) -> Engine:
    """Of a Hugging Face folder. Loads torch only now. `threads`: of the CPU."""
    folder = Path(checkpoint)
    if not (folder / "config.json").is_file():
        raise ValueError(f"{folder} is no Hugging Face folder: it has no config.json; name an export's `hf` folder")
    if engine.kind == "vllm":
        from pretrain.generation.vllm_engine import VllmEngine

        return VllmEngine(folder, engine, serving)
    from pretrain.generation.transformers_engine import TransformersEngine

    return TransformersEngine(folder, engine, serving, threads)
