"""What a batch script calls on its node: `python -m slurm.queue FOLDER PART`."""

import argparse
import sys
from pathlib import Path

from recipes import exits
from slurm.queue.node import Node
from slurm.queue.records import PARTS


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m slurm.queue", description="Does a job's part of one stage folder.")
    parser.add_argument("folder", type=Path)
    parser.add_argument("part", choices=PARTS)
    parser.add_argument("--elements", type=int, default=1, help="of the whole array: element e does ranks e, e + N, ...")
    parser.add_argument("--failed-line", default="", help="of the site's environment: the job ends and says so")
    asked = parser.parse_args()
    try:
        return Node(asked.folder, asked.part, asked.elements, asked.failed_line).run()
    except ValueError as error:
        return exits.of_mistake(error)


if __name__ == "__main__":
    sys.exit(main())
