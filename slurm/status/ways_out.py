"""What a person does about a stage that has stopped, by what stopped it."""

from slurm.queue.records import Reason

WAYS_OUT: dict[Reason, str] = {
    "preempted": "more often than cluster.slurm.restarts.preempted allows: choose another partition or qos, or just {again}",
    "timeout": "more often than cluster.slurm.restarts.timeout allows: raise time_limit, or just {again}",
    "node_failure": "more often than cluster.slurm.restarts.node_failure allows: tell the site; then {again}",
    "killed": "something killed its processes again and again: look for memory that ran out on the node; then {again}",
    "out_of_memory": "ask for more memory (memory_gib), or do less at a time (processes, micro_batch_size); then {again}",
    "nan": "look at the step with: midtrain spike {stage} --step STEP; change the recipe; then {again}",
    "bad_data": "mend the files that are named, or allow more of them on the page; then {again}",
    "disk_full": "make room; it goes on behind what is done: {again}",
    "user_error": "mend what it says; then {again}",
    "cancelled": "someone cancelled it; to go on, {again}",
    "failed": "read the log; when the cause is mended, {again}",
}


def way_out(reason: Reason, *, stage: str, submit: str) -> str:
    """With the command last, so that it can be copied whole."""
    return WAYS_OUT[reason].format(stage=stage, again=f"submit again: {submit}")
