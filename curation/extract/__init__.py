"""HTML -> text with its mathematics kept as LaTeX: `curation.extract.page`. The datatrove step is in `curation.extract.step`."""

from curation.extract.charset import decode

__all__ = ["decode"]
