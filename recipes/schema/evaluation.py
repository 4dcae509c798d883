"""Keys of an evaluation: benchmarks, each with its prompt, its shots and how an answer is taken out of what the model wrote."""

from recipes.schema.base import Name, Strict


class Benchmark(Strict):
    path: Name


class Evaluation(Strict):
    benchmarks: dict[Name, Benchmark]
