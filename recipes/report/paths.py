"""What graphs and paths of reasoning came to, stage by stage."""

from collections.abc import Sequence

from recipes.report.contamination import Table
from recipes.report.record import Record

GRAPH_COLUMNS = ("questions", "nodes", "edges", "shared_nodes", "turns", "kept_apart")


def read_paths(records: Sequence[Record]) -> list[Table]:
    """Tables of one dataset; none where there are no such stages."""
    tables = []
    for record in records:
        if record.do == "resume_traces":
            tables.append(_counted(record, "traces cut off and resumed", "outcome", "resumed"))
        if record.do == "build_graphs":
            numbers = record.numbers("counts", "graphs")
            row = (record.stage, [numbers.get(column, 0) for column in GRAPH_COLUMNS])
            columns = [column.replace("_", " ") for column in GRAPH_COLUMNS]
            tables.append(Table("Graphs of the questions' traces", "stage", columns, [row]))
            tables.append(_counted(record, "traces by what became of them", "trace", "traces"))
        if record.do == "sample_paths":
            tables.append(_counted(record, "paths by their steps back", "steps back", "paths"))
    return [table for table in tables if table.rows]


def _counted(record: Record, heading: str, first: str, key: str) -> Table:
    numbers = record.numbers("counts", key)
    return Table(f"{record.stage}: {heading}", first, ["number"], [(name, [number]) for name, number in sorted(numbers.items())])
