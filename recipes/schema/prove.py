"""Keys of the pages in recipes/prove: what checkpoints can do, and whether reinforcement learning can begin from them.

A page's checkpoints are Hugging Face folders, which is what RL teams load: exports of a train page, their base, anybody's.
"""

from typing import Literal, Self

from pydantic import Field, model_validator

from recipes.schema.base import FolderName, Name, Positive, Share, Strict, nearest
from recipes.schema.cluster import Cluster
from recipes.schema.evaluation import Evaluation
from recipes.schema.probe import Arm, Probe
from recipes.schema.readiness import Readiness


class Engine(Strict):
    """What generates text."""

    kind: Literal["transformers", "vllm"] = "transformers"
    dtype: Literal["float32", "bfloat16"] = "bfloat16"


class Serving(Strict):
    """How an engine works; decides nothing of what it should say."""

    batch_size: Positive = 16  # sequences at a time, of transformers; vLLM chooses its own
    gpu_memory_share: Share = 0.9  # of a GPU, that vLLM may take


class ProbeRun(Probe):
    """What the stage of one run of a probe holds."""

    problems: Name = "problems"  # the name of its input
    seed: int  # of the page: which problems are held out
    engine: Engine
    arm: Arm
    run: Positive  # its number: with the page's seed it decides all draws


class ProveRecipe(Strict):
    """A page of recipes/prove: checkpoints, and what is asked of each."""

    page: str
    root: Name = "runs"
    seed: int = 1234
    checkpoints: dict[FolderName, str] = Field(min_length=1)  # by name: a Hugging Face folder: local, hf:// or made:
    evaluation: Evaluation | None = None
    readiness: Readiness | None = None
    probe: Probe | None = None
    engine: Engine = Engine()
    serving: Serving = Serving()
    cluster: Cluster

    @model_validator(mode="after")
    def _something_is_asked(self) -> Self:
        if self.evaluation is None and self.readiness is None and self.probe is None:
            raise ValueError(
                "nothing is asked of the checkpoints: the page has no evaluation, no readiness and no probe; choose one: "
                "evaluation=NAME, readiness=NAME or probe=NAME"
            )
        return self

    @model_validator(mode="after")
    def _probed_are_there(self) -> Self:
        for name in self.probe.checkpoints if self.probe else ():
            if name not in self.checkpoints:
                raise ValueError(
                    f"probe.checkpoints: the page has no checkpoint {name!r}; {nearest(name, list(self.checkpoints))}; "
                    f"probe.checkpoints=[] takes all of them"
                )
        return self
