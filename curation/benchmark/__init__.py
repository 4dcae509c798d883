"""Measures every curation stage against the public tools: `python -m curation.benchmark STAGE`. One module a stage."""
