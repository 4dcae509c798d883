"""HTML -> text with its mathematics kept as LaTeX. The datatrove step is in `curation.extract.step`."""

from curation.extract.charset import decode
from curation.extract.page import Extracted, extract

__all__ = ["Extracted", "decode", "extract"]
