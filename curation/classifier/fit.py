"""The body of the fresh process in which fastText trains: python -m curation.classifier.fit LINES MODEL OPTIONS [quantize]"""

import json
import sys
from typing import Any

from curation.classifier.training import DIVERGED


def fit(lines: str, model_file: str, options: dict[str, Any], *, quantize: bool) -> int:
    """0, or DIVERGED."""
    import fasttext
    import numpy as np

    try:
        model = fasttext.train_supervised(lines, verbose=0, loss="softmax", **options)
    except RuntimeError as error:
        if "NaN" in str(error):
            return DIVERGED
        raise
    if set(model.get_words()) <= {"</s>"}:
        raise RuntimeError(f"minCount={options['minCount']} leaves no words: lower min_count, or give more examples")
    if not (np.isfinite(model.get_output_matrix()).all() and np.isfinite(model.get_input_matrix()).all()):
        return DIVERGED
    if quantize:
        model.quantize(qnorm=True)
    model.save_model(model_file)
    return 0


if __name__ == "__main__":
    sys.exit(fit(sys.argv[1], sys.argv[2], json.loads(sys.argv[3]), quantize="quantize" in sys.argv[4:]))
