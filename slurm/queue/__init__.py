"""Stages as Slurm jobs: submitted once, recognised while they live, done on the node, gone on after what ends a job."""
