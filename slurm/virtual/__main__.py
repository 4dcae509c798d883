"""`python -m slurm.virtual`: a virtual cluster to play with, until Ctrl-C. Exit status 2: it cannot be on this machine."""

import argparse
import logging
import signal
import sys
from pathlib import Path

from slurm.virtual.cluster import VirtualCluster

log = logging.getLogger(__name__)


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m slurm.virtual", description="A virtual Slurm cluster, until Ctrl-C.")
    parser.add_argument("folder", type=Path, nargs="?", help="where it lives; without it in a temporary one")
    parser.add_argument("--nodes", type=int, default=4)
    parser.add_argument("--gpus", type=int, default=8, help="pretended, of each node")
    parser.add_argument("--max-array-size", type=int, default=1001)
    asked = parser.parse_args()
    logging.basicConfig(level=logging.INFO, format="%(message)s")
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        with VirtualCluster(asked.folder, asked.nodes, asked.gpus, max_array_size=asked.max_array_size) as cluster:
            log.info("%d nodes are up; in another shell:\nexport SLURM_CONF=%s", asked.nodes, cluster.home / "slurm.conf")
            signal.pause()
    except ValueError as error:
        log.error("%s", error)
        return 2
    except KeyboardInterrupt:
        return 0
    return 0


if __name__ == "__main__":
    sys.exit(main())
