"""A real, private, disposable Slurm on this machine: what submitting, restarting and losing nodes is rehearsed on."""
