"""Deduplication: the whole stage, shards in and kept shards out, against datatrove's four MinHash stages and datasketch's LSH.

All ways read the same parquet shards. The others write the documents they keep (2 % of datasketch's time), ours writes which
rows of the shards they are (`recipes/shards.py`): what the next stage then reads is part of no way's time, and costs it what
`benchmark io` tells. datatrove runs FineWeb's 14 bands of 8, datasketch our 20 of 6. What was found is judged by similarities
computed anew, from words.
"""

import re
import shutil
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq

from curation.benchmark.corpus import SHARDS, read_truth, write_corpus
from curation.benchmark.measure import Comparison, Way, Work, compare
from curation.benchmark.size import Size
from curation.steps import DOCUMENTS
from recipes.schema import DedupStage
from recipes.stage import Input, Stage, write_stage

SEED = 1
WARM_UP = 100  # documents
MOST_DATATROVE = 2_000  # documents: they cost it 8 ms each from there on, and more where they are fewer
MOST_DATASKETCH = 400_000  # documents: eight minutes and 4.5 GB
NUM_JUDGED = 4_000  # dropped documents, and planted pairs, whose similarity is computed anew
PARAMS = DedupStage(do="dedup", index=True)


def comparisons(size: Size) -> Iterator[Comparison]:
    documents = size.or_else(20_000)
    _corpus(size, WARM_UP)
    corpus, whole = partial(_corpus, size), Way(ours, (_corpus(size, documents), size.scratch / "ours"))
    stock = (("datatrove MinHash", datatrove, MOST_DATATROVE), ("datasketch MinHashLSH", datasketch, MOST_DATASKETCH))
    for against, prepare, share in stock:
        stock_documents = min(share, documents)
        yield compare(
            "dedup",
            against=against,
            documents=documents,
            ours=whole,
            stock=Way(prepare, (corpus(stock_documents), size.scratch / "stock")),
            stock_documents=stock_documents,
            repeats=size.repeats,
            judge=lambda mine, other: _judge(corpus(documents), size.scratch / "ours", mine),
        )
    tenth = max(documents // 10, 1)
    yield compare(
        "dedup",
        against="itself on a tenth of the documents (1: cost per document is flat)",
        documents=documents,
        ours=whole,
        stock=Way(ours, (corpus(tenth), size.scratch / "tenth")),
        stock_documents=tenth,
        repeats=size.repeats,
    )


def _corpus(size: Size, documents: int) -> Path:
    return write_corpus(size.scratch / f"corpus-{documents}", documents, seed=SEED, data=size.data)


def ours(corpus: Path, out: Path) -> Work:
    """The stages as `midtrain run` would do them, rank after rank."""
    from curation.pipeline import finish, run_rank
    from curation.ranks import num_ranks

    def run(corpus: Path, out: Path) -> dict[str, int]:
        counts: dict[str, int] = {}
        for stage in _stages(corpus, out):
            write_stage(stage)
            for rank in range(num_ranks(stage)):
                run_rank(stage.folder, rank)
            record = finish(stage.folder)
            counts |= {key: n for key, n in record["counts"].items() if isinstance(n, int)}
        return counts

    warm_up = out.with_name(f"{out.name}-warm-up")
    for folder in (out, warm_up):
        shutil.rmtree(folder, ignore_errors=True)
    run(corpus.with_name(f"corpus-{WARM_UP}"), warm_up)  # so that kernels are compiled and modules imported
    return partial(run, corpus, out)


def _stages(corpus: Path, out: Path) -> list[Stage]:
    """Named by their kinds, in the order of work."""
    rule: dict[str, Any] = {"keep": list(PARAMS.keep), "url": PARAMS.url, "source_order": []}
    banding = {"ngram": PARAMS.ngram, "num_bands": PARAMS.num_bands, "rows_per_band": PARAMS.rows_per_band, "seed": SEED}
    ranks = {"shards": SHARDS}
    stages: dict[str, Stage] = {}
    for do, params, roles in (
        ("dedup_signatures", banding | rule | ranks, ("documents",)),
        ("dedup_candidates", ranks, ("signatures",)),
        ("dedup_pairs", {"min_jaccard": PARAMS.min_jaccard} | ranks, ("signatures", "candidates")),
        ("dedup_clusters", rule, ("signatures", "pairs")),
        ("dedup", ranks, ("documents", "signatures", "clusters")),
    ):
        made = {role: stages[f"dedup_{role}"].folder for role in roles if role != "documents"}
        inputs = {role: Input(str(folder), role, str(folder)) for role, folder in made.items()}
        inputs |= {"documents": Input(str(corpus), "corpus")} if "documents" in roles else {}
        stages[do] = Stage("curate/benchmark", do, "curation", do, 1, params, inputs, {}, do, out / do)
    return list(stages.values())


def datatrove(corpus: Path, out: Path) -> Work:
    from datatrove.pipeline.readers import ParquetReader
    from datatrove.pipeline.writers import ParquetWriter

    from curation.benchmark.stock_minhash import four_stages

    shutil.rmtree(out, ignore_errors=True)
    reader = ParquetReader(str(corpus / DOCUMENTS), glob_pattern="*.parquet")
    run = four_stages(reader, ParquetWriter(str(out / "kept"), compression="zstd"), out, tasks=SHARDS)

    def work() -> int:
        run()
        return _num_rows(out / "kept")

    return work


def datasketch(corpus: Path, out: Path) -> Work:
    import datasketch
    import pyarrow as pa

    shutil.rmtree(out, ignore_errors=True)
    out.mkdir(parents=True)
    num_perm = PARAMS.num_bands * PARAMS.rows_per_band
    empty = datasketch.MinHash(num_perm=num_perm)

    def work() -> int:
        lsh = datasketch.MinHashLSH(num_perm=num_perm, params=(PARAMS.num_bands, PARAMS.rows_per_band))
        for path in sorted((corpus / DOCUMENTS).glob("*.parquet")):
            table = pq.read_table(path)
            is_kept = []
            for id_, text in zip(table["id"].to_pylist(), table["text"].to_pylist(), strict=True):
                minhash = empty.copy()  # drawing permutations anew takes longer than using them
                minhash.update_batch([" ".join(shingle).encode() for shingle in _shingles(text)])
                is_kept.append(not lsh.query(minhash))
                lsh.insert(id_, minhash, check_duplication=False)
            pq.write_table(table.filter(pa.array(is_kept)), out / path.name, compression="zstd")
        return _num_rows(out)

    return work


def _num_rows(folder: Path) -> int:
    return sum(int(pq.read_metadata(path).num_rows) for path in folder.glob("*.parquet"))


def _shingles(text: str) -> set[tuple[str, ...]]:
    words = re.findall(r"\w+", text.lower())
    return set(zip(*(words[start:] for start in range(PARAMS.ngram)))) or {tuple(words)}


# ---------------------------------------------------------------------------------------------------- what was right


def _judge(corpus: Path, out: Path, counts: dict[str, int]) -> dict[str, Any]:
    """`precision`: of dropped documents that are similar enough to what they were dropped for. `recall`: of planted pairs with a
    similarity of 0.8 or more that were found."""
    texts = _texts(corpus)
    clusters = pq.read_table(out / "dedup_clusters" / "clusters.parquet").to_pylist()
    drops = [row for row in clusters if not row["kept"]]
    alike = [_jaccard(texts[row["id"]], texts[row["duplicate_of"]]) for row in drops[:: len(drops) // NUM_JUDGED + 1]]
    text_of = {row["id"]: row["text"] for row in clusters}
    pairs = pq.read_table(out / "dedup_clusters" / "pairs.parquet")
    found = {
        frozenset((text_of[one], text_of[other]))
        for one, other in zip(pairs["id"].to_pylist(), pairs["other_id"].to_pylist(), strict=True)
    }
    planted = [(str(row["id"]), str(row["copy_of"])) for row in read_truth(corpus) if row["copy_of"]]
    planted = [pair for pair in planted[:: len(planted) // NUM_JUDGED + 1] if _jaccard(texts[pair[0]], texts[pair[1]]) >= 0.8]
    missed = [
        (one, other)
        for one, other in planted
        if text_of.get(one, one) != text_of.get(other, other) and frozenset((text_of.get(one), text_of.get(other))) not in found
    ]
    signatures = [path for path in (out / "dedup_signatures").rglob("*") if path.suffix in (".parquet", ".bin")]
    return {
        "precision": sum(value >= PARAMS.min_jaccard for value in alike) / max(len(alike), 1),
        "recall": 1 - len(missed) / max(len(planted), 1),
        "merged_below_half": sum(value < 0.5 for value in alike),
        "index_bytes_per_document": sum(path.stat().st_size for path in signatures) / len(texts),
        **{key: counts[key] for key in ("exact_duplicates", "near_duplicates", "candidate_pairs", "similar_pairs")},
    }


def _texts(corpus: Path) -> dict[str, str]:
    table = pq.read_table(corpus / DOCUMENTS, columns=["id", "text"])
    return dict(zip(table["id"].to_pylist(), table["text"].to_pylist(), strict=True))


def _jaccard(one: str, other: str) -> float:
    first, second = _shingles(one), _shingles(other)
    return len(first & second) / len(first | second)
