"""Exact, URL and near-duplicates, in stages that ranks share by shards or by keys, so that no process holds all documents.

    signatures  by shard: what the rest needs of each document, sorted by keys             signatures.py
    candidates  by band keys: pairs of texts that share a MinHash band                     candidates.py
    pairs       by pairs: those whose true Jaccard similarity is enough                    pairs.py
    clusters    one process, some keys at a time: who stays, the evidence                  cluster_parts.py, clusters.py
    dedup       by shard: drops the others                                                 drops.py
    index       by shard, if the page asks: signatures of those who stay                   index.py

MinHash only proposes; every dropped document is as similar to a kept one as the page demands. Decisions go by id and text, never
by position: any sharding of the same documents keeps the same ones. A worker needs at most 2 GB.
"""

from curation.dedup.candidates import FindCandidates
from curation.dedup.cluster_parts import ReadClusters
from curation.dedup.clusters import DecideClusters
from curation.dedup.drops import DropDuplicates
from curation.dedup.index import ReadSignatures, WriteIndex
from curation.dedup.pairs import CheckPairs
from curation.dedup.shard_tables import ReadRanges, ReadShard
from curation.dedup.signatures import Signatures, WriteSignatures

__all__ = [
    "CheckPairs",
    "DecideClusters",
    "DropDuplicates",
    "FindCandidates",
    "ReadClusters",
    "ReadRanges",
    "ReadShard",
    "ReadSignatures",
    "Signatures",
    "WriteIndex",
    "WriteSignatures",
]
