"""Makes the report of a stage folder: `python -m recipes.report FOLDER`. Exit statuses: `recipes/exits.py`."""

import sys
from pathlib import Path

from recipes import exits
from recipes.report.make import make_report


def main() -> int:
    try:
        make_report(Path(sys.argv[1]).absolute())
    except ValueError as error:
        return exits.of_mistake(error)
    return exits.DONE


if __name__ == "__main__":
    sys.exit(main())
