"""What the made stages of the report's tests hold: texts, counts, figures, and files as stages of curation leave them."""

import json
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

HOSTILE = '<script>alert("1")</script><img src=x onerror=alert(1)> & \x00\x1b[31m </pre></details>\u202e'
LATEX = r"Let $f(x) = \frac{a}{b} + \sum_{i<n} x_i$ & \[ \int_0^1 x\,dx \le \tfrac12 \]"
UNDRAWABLE = r"$\frac{1}{$ and $\undefinedcommand{x}$"
HOSTILE_LATEX = r"$\href{javascript:alert(1)}{x}$ $\htmlData{a=b}{x}$ $\includegraphics{https://example.org/x.png}$"


def passed(documents_in: int, characters_in: int, documents_out: int, characters_out: int) -> dict[str, int]:
    return {
        "documents_in": documents_in,
        "characters_in": characters_in,
        "documents_out": documents_out,
        "characters_out": characters_out,
    }


def at_thresholds(precision: float) -> list[dict[str, Any]]:
    """Better precision and worse recall with every tenth, each known to a twentieth."""
    rows = [{"threshold": t / 10, "precision": precision + t / 50, "recall": 0.94 - t / 45, "f1": 0.91} for t in range(1, 10)]
    return [row | {f"{key}_interval": [row[key] - 0.05, row[key] + 0.02] for key in ("precision", "recall")} for row in rows]


def write_table(path: Path, columns: dict[str, list[Any]]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    pq.write_table(pa.table(columns), path, row_group_size=4)


def write_documents(path: Path, texts: list[str], identity: str, **metadata: Any) -> None:
    """A shard as stages of curation leave it."""
    told = [json.dumps({"url": f"https://example.org/{identity}/{i}", **metadata}) for i in range(len(texts))]
    ids = [f"urn:{identity}-{i}" for i in range(len(texts))]
    write_table(path, {"id": ids, "text": [text.encode("utf-8", "replace").decode() for text in texts], "metadata": told})


def example(identity: str, text: str, **more: str) -> dict[str, str]:
    return {"id": f"urn:{identity}", "url": f"https://example.org/{identity}?a=1&b=2", "text": text, **more}


def change(folder: Path, **values: Any) -> None:
    """Sets keys of a manifest; None removes one."""
    file = folder / "manifest.json"
    manifest = json.loads(file.read_text()) | values
    file.write_text(json.dumps({key: value for key, value in manifest.items() if value is not None}))
