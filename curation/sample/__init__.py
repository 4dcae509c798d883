"""The demo's raw data, made from a seed with known truth: duplicates, leaks, quality, equations, answers."""

from curation.sample.make import make_sample

__all__ = ["make_sample"]
