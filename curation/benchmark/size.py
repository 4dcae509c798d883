"""How much a benchmark measures, and where it finds and leaves its data."""

from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class Size:
    """`documents` None is a stage's own choice: a few minutes on one core."""

    documents: int | None
    repeats: int
    data: Path | None  # folder of real data, or None
    scratch: Path

    def or_else(self, documents: int) -> int:
        return self.documents or documents
