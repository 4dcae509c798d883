"""Keys of an RL probe: a short run of GRPO on problems whose answers can be checked, beside a control whose reward is random."""

from recipes.schema.base import Name, Positive, Strict


class Probe(Strict):
    problems: Name
    seeds: Positive = 2
