"""The mathematics classifier: supervised fastText, trained, measured and applied on one shared preprocessing."""

from curation.classifier.model import load_model, score
from curation.classifier.text import normalize
from curation.classifier.training import train

__all__ = ["load_model", "normalize", "score", "train"]
