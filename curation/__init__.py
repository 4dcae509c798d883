"""Floor 1: raw pages and records in, documents and Megatron token files out. datatrove, no torch."""

# The versions of the stages' code: part of a stage's identity. Raise one when its output changes.
VERSIONS = {
    "sample": 1,
    "read": 1,
    "extract": 1,
    "format": 1,
    "filter": 1,
    "train_classifier": 1,
    "dedup_signatures": 1,
    "dedup_clusters": 1,
    "dedup": 1,
    "decontaminate": 1,
    "tokenize_shards": 1,
    "tokenize": 1,
}
