"""Floor 1: tokens in, checkpoints and evidence out. Megatron-core, no datatrove. Import-light: nothing here loads torch."""

# The versions of the stages' code: part of a stage's identity. Raise one when its output changes.
VERSIONS = {"train": 3, "export": 1, "average": 1, "evaluate": 2, "answers": 2, "readiness": 2, "probe": 2, "probe_verdict": 2}
