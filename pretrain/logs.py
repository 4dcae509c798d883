"""What an entry point says on standard error, and which libraries it quiets."""

import logging
import sys
import warnings


def begin_logging(is_first: bool) -> None:
    """The first process speaks; the others only of errors."""
    logging.basicConfig(level=logging.INFO if is_first else logging.ERROR, format="%(message)s", stream=sys.stderr)
    for noisy in ("megatron", "torch", "transformers"):
        logging.getLogger(noisy).setLevel(logging.ERROR)
        warnings.filterwarnings("ignore", module=rf"{noisy}\.")
    warnings.filterwarnings("ignore", module=r"pretrain\.cpu")  # of torch functions, which pass through there
