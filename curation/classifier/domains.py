"""Sites of which many pages are good: an iteration of DeepSeekMath's recall (section 2.1) looks for more of their pages.

sites.tsv lists them, the most hits first; `sites` of a draw stage reads it. One process; memory: about 100 bytes a site.
"""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from recipes.schema import DiscoverDomainsStage
from recipes.stage import write_atomically

SITES = "sites.tsv"
NUM_SHOWN = 20
_EMPTY = pa.schema([("site", pa.string()), ("pages", pa.int64()), ("hits", pa.int64())]).empty_table()


def discover_domains(
    scores: list[Path], params: DiscoverDomainsStage, out: Path, *, progress: Callable[[int, int], None]
) -> tuple[dict[str, Any], dict[str, Any]]:
    """Writes out/sites.tsv; returns counts, and the first sites."""
    sites, num_documents = _EMPTY, 0
    for done, path in enumerate(scores):
        progress(done, len(scores))
        table = pq.read_table(path, columns=["site", "score"])
        num_documents += len(table)
        sites = _added_up(pa.concat_tables([sites, _count_hits(table, params.min_score)]))
    share = pc.divide(pc.cast(sites["hits"], pa.float64()), pc.cast(sites["pages"], pa.float64()))
    found = sites.append_column("share", share).filter(
        pc.and_(pc.greater_equal(sites["pages"], params.min_pages), pc.greater(share, params.min_share))
    )
    rows = found.sort_by([("hits", "descending"), ("site", "ascending")]).to_pylist()
    lines = [f"{row['site']}\t{row['pages']}\t{row['hits']}\t{row['share']:.4f}\n" for row in rows]
    write_atomically(out / SITES, "".join(["# site\tpages\thits\tshare\n", *lines]).encode())
    counts = {
        "documents": num_documents,
        "documents_without_site": num_documents - (pc.sum(sites["pages"]).as_py() or 0),
        "sites": len(sites),
        "sites_found": len(rows),
        "pages_of_sites_found": sum(row["pages"] for row in rows),
        "hits_of_sites_found": sum(row["hits"] for row in rows),
    }
    return counts, {"sites": [row | {"share": round(row["share"], 4)} for row in rows[:NUM_SHOWN]]}


def _count_hits(table: pa.Table, min_score: float) -> pa.Table:
    table = table.filter(pc.is_valid(table["site"]))
    hits = pc.cast(pc.greater_equal(table["score"], min_score), pa.int64())
    return _added_up(pa.table({"site": table["site"], "pages": pa.repeat(pa.scalar(1, pa.int64()), len(table)), "hits": hits}))


def _added_up(table: pa.Table) -> pa.Table:
    summed = table.group_by("site").aggregate([("pages", "sum"), ("hits", "sum")])
    return summed.rename_columns({"pages_sum": "pages", "hits_sum": "hits"}).select(["site", "pages", "hits"])
