"""Keys of an RL probe: short runs of GRPO on problems whose answers can be checked, each beside a control whose reward is random.

The settings that are not on a page are OctoThinker's (section 2.1): verl's GRPO, 128 questions with 16 rollouts each, two updates
of them, learning rate 1e-6, no KL penalty, temperature 1.0, at most 4,096 tokens (8,192 for bases of long chains of thought).
"""

from typing import Literal, Self

from pydantic import Field, model_validator

from recipes.schema.base import Name, NotNegative, Positive, PositiveFloat, Share, Strict
from recipes.schema.evaluation import TemplateName
from recipes.schema.readiness import RIGHT, Columns

Arm = Literal["answer", "random"]  # what the answer's part of a reward tells: whether the answer is right, or nothing


class Reward(Strict):
    """Of a rollout. In the control a coin stands in place of the answer's part; the format's part is the same in both arms, so
    that arms differ by what an answer is worth and by nothing else."""

    answer: PositiveFloat = 1.0  # where it is right
    format: float = Field(default=0.0, ge=0.0)  # more, where the rollout boxes an answer
    extract: Literal["final_answer", "boxed", "last_number"] = "final_answer"
    right_by: RIGHT = "math_verify"  # whose word counts; both graders are asked and compared
    # of a one, as in Spurious Rewards (arXiv 2506.10947): a half leaves the fewest groups without gradient
    control_chance: float = Field(default=0.5, gt=0.0, lt=1.0)


class HeldOut(Strict):
    """Problems that are never trained on, answered before and after each run: what is compared."""

    problems: Positive = 100
    samples: Positive = 4  # answers to each


class Collapse(Strict):
    """When a run has collapsed: its last fifth against its first, of the best fifth for what should grow.

    OctoThinker's runs show three of them: MATH500 from 47.6 to 14.6 (Web-Pro with OpenR1), answers that fill 4,096 tokens
    (FineMath-4+), and groups that have no gradient because Llama solves none. Entropy: arXiv 2505.22617."""

    kept_right: Share = 0.5  # below this share of its best: right answers dropped, if chance does not explain it
    longer: PositiveFloat = 3.0  # times the first length: a spike
    shorter: Share = 0.33  # of the first length: a shrink
    truncated: Share = 0.5  # of answers cut off, and a fifth of all more than at first
    kept_entropy: Share = 0.2  # below this share of the first: the policy is no longer exploring
    no_gradient: Share = 0.9  # of groups whose rewards are all the same, most of them because nothing was right


class Probe(Strict):
    problems: Name  # jsonl or parquet, local or hf://datasets/…
    columns: Columns = Columns()
    checkpoints: list[Name] = []  # of the page's; none: all of them
    template: TemplateName = "orz"
    seeds: Positive = 2  # runs of each checkpoint and arm
    steps: Positive = 100  # each generates rollouts once
    questions: Positive = 128  # a step
    rollouts: int = Field(default=16, ge=2)  # of a question: a group, whose mean is GRPO's baseline
    updates: Positive = 2  # of the weights, from the rollouts of a step
    learning_rate: PositiveFloat = 1e-6
    warmup_updates: NotNegative = 0
    kl: float = Field(default=0.0, ge=0.0)  # weight of the divergence from the checkpoint
    loss: Literal["dapo", "grpo", "dr_grpo"] = "dapo"  # TRL's names; dapo: a mean over all tokens, as verl's GRPO takes it
    max_tokens: Positive = 4096
    temperature: PositiveFloat = 1.0
    top_p: float = Field(default=1.0, gt=0.0, le=1.0)
    reward: Reward = Reward()
    held_out: HeldOut = HeldOut()
    collapse: Collapse = Collapse()

    @model_validator(mode="after")
    def _updates_divide(self) -> Self:
        if (self.questions * self.rollouts) % self.updates:
            raise ValueError(
                f"questions={self.questions} times rollouts={self.rollouts} cannot be parted evenly into updates={self.updates}"
            )
        if len(set(self.checkpoints)) < len(self.checkpoints):
            raise ValueError(f"checkpoints: {', '.join(self.checkpoints)} names one twice")
        return self

    def of_a_run(self) -> dict[str, object]:
        """What decides one run: more seeds, other checkpoints and other limits of collapse leave it as it is."""
        return self.model_dump(mode="json", exclude={"problems", "checkpoints", "seeds", "collapse"})
