"""Makes a graph of each question's traces (graph.py) and leaves it beside the document, with the statistics of its nodes in
nodes/*.parquet: what step rewards are made of (Steiner's come from in-degree, out-degree, and the distances to question and
answer)."""

from collections.abc import Iterator

import pyarrow as pa
import pyarrow.parquet as pq
from datatrove.data import Document, DocumentsPipeline
from datatrove.pipeline.base import PipelineStep

from curation.book import Book
from curation.paths.graph import ANSWER, ROOT, Graph, Trace, build, defect, distances, neighbours
from curation.paths.samples import ending, trace_of, written_samples
from curation.sampling.asked import question_of
from curation.sampling.recorded import BadSamples
from recipes.grading import Grader
from recipes.schema import BuildGraphsStage

NODES = "nodes"
ROWS_PER_GROUP = 50_000
NODE_SCHEMA = pa.schema(
    [
        ("question_id", pa.string()),
        ("node", pa.int32()),  # as in the metadata of paths
        ("kind", pa.string()),  # question, answer, right (a step that leads to the answer) or wrong
        ("text", pa.large_string()),
        ("traces", pa.int32()),  # how many are at this node
        ("in_degree", pa.int32()),
        ("out_degree", pa.int32()),
        ("distance_to_question", pa.int32()),
        ("distance_to_answer", pa.int32()),  # null where no way leads on to it
    ]
)


class BuildGraphs(PipelineStep):
    type = "PATHS"
    name = "graphs"

    def __init__(self, params: BuildGraphsStage, book: Book):
        super().__init__()
        self.params = params
        self.book = book

    def run(self, data: DocumentsPipeline, rank: int = 0, world_size: int = 1) -> Iterator[Document]:  # type: ignore[override]
        file = self.book.folder / NODES / f"{rank:05d}.parquet"
        file.parent.mkdir(parents=True, exist_ok=True)
        rows: list[tuple[object, ...]] = []
        with Grader(self.params.seconds) as grader, pq.ParquetWriter(file, NODE_SCHEMA, compression="zstd") as nodes:
            for doc in data or ():
                graph = self._graph(doc, grader)
                if graph is None:
                    continue
                rows += node_rows(doc.id, graph)
                if len(rows) >= ROWS_PER_GROUP:
                    nodes.write_table(_table(rows))
                    rows = []
                del doc.metadata["samples"]
                doc.metadata["graph"] = graph.as_metadata()
                yield doc
            nodes.write_table(_table(rows))

    def _graph(self, doc: Document, grader: Grader) -> Graph | None:
        """None when the document was dropped, for what its graph lacks."""
        question, expected = question_of(doc), str(doc.metadata.get("expected_answer") or "")
        try:
            traces = self._traces(doc, expected, grader) if expected else []
        except BadSamples as problem:
            self.book.count("bad_samples", str(problem))
            self.book.drop(doc, "build_graphs", "bad_samples")
            return None
        graph, num_apart = build(question, expected, traces, self.params.min_similarity)
        reason = "no_expected_answer" if not expected else "no_traces" if not traces else defect(graph)
        if reason:
            self.book.drop(doc, "build_graphs", reason)
            return None
        found = {"questions": 1, "nodes": len(graph.texts), "edges": len(graph.edges()), "turns": len(graph.turns)}
        shared = sum(times > 1 for times in graph.times[ANSWER + 1 :])
        for key, number in {**found, "shared_nodes": shared, "kept_apart": num_apart}.items():
            self.book.count("graphs", key, n=number)
        return graph

    def _traces(self, doc: Document, expected: str, grader: Grader) -> list[Trace]:
        """Of the first samples, as far as the page's limits allow. One that was cut off is neither right nor wrong: its steps
        might have led to the answer."""
        traces: list[Trace] = []
        num_steps = 0
        samples = written_samples(doc)
        for sample in samples[: self.params.max_traces]:
            if sample.finish != "stop":
                self.book.count("traces", "unfinished")
                continue
            grade = grader.grade(ending(sample), expected)
            grade.tell(self.book.count)
            trace = trace_of(sample, self.params.max_step_chars, is_right=grade.is_accepted(self.params.accept))
            if trace is None:
                continue
            if num_steps + trace.num_steps > self.params.max_steps:
                self.book.count("traces", "beyond_max_steps")
                continue
            traces.append(trace)
            num_steps += trace.num_steps
            self.book.count("traces", "turned" if trace.back else "right" if trace.is_right else "wrong")
        if len(samples) > self.params.max_traces:
            self.book.count("traces", "beyond_max_traces", n=len(samples) - self.params.max_traces)
        return traces


def node_rows(question_id: str, graph: Graph) -> list[tuple[object, ...]]:
    """In the order of NODE_SCHEMA."""
    num_nodes, edges = len(graph.texts), graph.edges()
    before, behind = neighbours(edges, num_nodes, backwards=True), neighbours(edges, num_nodes)
    from_question = distances(edges, num_nodes, ROOT)
    to_answer = distances(graph.onward(), num_nodes, ANSWER, backwards=True)
    kinds = {ROOT: "question", ANSWER: "answer"}
    return [
        (
            question_id,
            node,
            kinds.get(node) or ("wrong" if to_answer[node] is None else "right"),
            graph.texts[node],
            graph.times[node],
            len(before[node]),
            len(behind[node]),
            from_question[node],
            to_answer[node],
        )
        for node in range(num_nodes)
    ]


def _table(rows: list[tuple[object, ...]]) -> pa.Table:
    columns = zip(*rows, strict=True) if rows else [()] * len(NODE_SCHEMA)
    return pa.table([pa.array(column, kind) for column, kind in zip(columns, NODE_SCHEMA.types, strict=True)], schema=NODE_SCHEMA)
