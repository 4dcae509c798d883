"""Keys of a readiness card: the problems that are sampled, how often, and the thresholds of its verdicts."""

from recipes.schema.base import Name, Positive, Strict


class Readiness(Strict):
    problems: Name
    samples: Positive = 16
