"""Keys of the pages in recipes/prove: what checkpoints can do, and whether reinforcement learning can begin from them.

A page's checkpoints are Hugging Face folders, which is what RL teams load: exports of a train page, their base, anybody's.
"""

from typing import Literal

from pydantic import Field

from recipes.schema.base import Name, Positive, Share, Strict
from recipes.schema.cluster import Cluster
from recipes.schema.evaluation import Evaluation
from recipes.schema.probe import Probe
from recipes.schema.readiness import Readiness


class Engine(Strict):
    """What generates text."""

    kind: Literal["transformers", "vllm"] = "transformers"
    dtype: Literal["float32", "bfloat16"] = "bfloat16"


class Serving(Strict):
    """How an engine works; decides nothing of what it should say."""

    batch_size: Positive = 16  # sequences at a time, of transformers; vLLM chooses its own
    gpu_memory_share: Share = 0.9  # of a GPU, that vLLM may take


class ProveRecipe(Strict):
    """A page of recipes/prove: checkpoints, and what is asked of each."""

    page: str
    root: Name = "runs"
    seed: int = 1234
    checkpoints: dict[Name, str] = Field(min_length=1)  # by name: a Hugging Face folder: local, hf:// or made:
    evaluation: Evaluation | None = None
    readiness: Readiness | None = None
    probe: Probe | None = None
    engine: Engine = Engine()
    serving: Serving = Serving()
    cluster: Cluster
