"""How far the stages of a plan are: from manifests, records of ranks and jobs, and one question to Slurm where there is one."""
