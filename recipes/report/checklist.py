"""What a transparency report asks, and which fields of manifests answer it.

After the Technical Transparency Index of O1 Replication Journey, part 2 (section 5, table 3): its four areas and its points, 100
in all, in words that fit what a run can show of itself. An item is shown when every stage that it is about has all its fields.
Where no stage is of that kind, most items about methods are shown too, as the index itself counts it: not using a method, and
saying so, hides nothing.
"""

from dataclasses import dataclass

DROPS = ("filter", "clean", "dedup", "decontaminate", "check_answers", "check_summaries", "drop_solved", "label_topic", "select")


@dataclass(frozen=True)
class Item:
    """`kinds`: of the stages that it is about, () for all; of these, those that have the field `having`. `fields`: dotted paths
    inside a manifest, `a|b` for either. `absent`: whether it is shown when there is no such stage. `lacking`: the way out."""

    area: str
    points: int
    question: str
    kinds: tuple[str, ...] = ()
    having: str = ""
    fields: tuple[str, ...] = ()
    absent: bool = False
    lacking: str = ""


PUBLIC = "no manifest can show what is published; "

CHECKLIST = (
    Item(
        "data",
        3,
        "Where does each dataset come from: names, formats and addresses that others can reach?",
        ("read", "extract", "format", "sample"),
        fields=("params.sources|params.num_pages", "recipe.known_sources|params.num_pages"),
        lacking="name sources by an address (hf://, https://, s3://), not by a local path",
    ),
    Item(
        "data",
        3,
        "How much is in each dataset: documents and tokens by split, and its tokenizer?",
        ("tokenize",),
        fields=("counts.tokens", "counts.documents|counts.documents_in", "inputs.shards"),
        lacking="run the pages of all datasets up to their tokens",
    ),
    Item(
        "data",
        4,
        "By which criteria was data selected and dropped, and how much by each?",
        DROPS,
        fields=("params", "counts.documents_in", "counts.documents_out"),
        absent=True,
    ),
    Item(
        "data",
        4,
        "What did language models write or judge: which model, which prompt, how much?",
        having="counts.language_model",
        absent=True,
        fields=(
            "params.model|params.solver|params.judge",
            "inputs.prompt|inputs.prompt/solver|inputs.prompt/judge",
            "counts.documents_in",
        ),
    ),
    Item(
        "method",
        4,
        "What is the base model: its architecture, its size, its weights?",
        ("train",),
        fields=("params.model.num_layers", "params.model.hidden_size", "details.parameters", "inputs.init|inputs.checkpoint"),
        lacking="train from a base model that the page names",
    ),
    Item("method", 6, "Which search is used at inference?", ("search",), fields=("params",), absent=True),
    Item(
        "method",
        6,
        "Which reinforcement learning is used: reward, objective, settings?",
        ("probe",),
        fields=("params.reward", "params.loss", "params.learning_rate", "details.probe"),
        absent=True,
    ),
    Item(
        "method",
        6,
        "How were long chains of thought made or chosen: every step with what it let through?",
        ("format",),
        having="recipe.long_chains",
        absent=True,
        fields=("params.template", "counts.documents_in", "counts.documents_out"),
    ),
    Item(
        "method",
        3,
        "Which stages were run, in which order, and what did each make?",
        fields=("fingerprint", "inputs|params", "output_bytes", "ended"),
        lacking="finish all stages of the page",
    ),
    Item(
        "method",
        2,
        "What did it need: devices, layout, time, software?",
        ("train",),
        fields=("run.cluster.device", "run.parallelism", "seconds", "software"),
        lacking="train a model on this page",
    ),
    Item(
        "method",
        2,
        "Which hyperparameters were used?",
        ("train",),
        fields=(
            "params.optimizer",
            "params.lr",
            "params.global_batch_size",
            "params.sequence_length",
            "params.steps",
            "params.seed",
        ),
        lacking="train a model on this page",
    ),
    Item(
        "method",
        4,
        "What does each component contribute (ablations)?",
        ("sweep",),
        fields=("details",),
        lacking="sweep over what is claimed to help (midtrain sweep), and report its points",
    ),
    Item(
        "evaluation",
        4,
        "Which benchmarks were used, in which version?",
        ("evaluate",),
        fields=("params", "inputs"),
        lacking="add an evaluation to the page",
    ),
    Item(
        "evaluation",
        4,
        "What is graded, and by whom?",
        ("evaluate",),
        fields=("counts.grades|details.grades|details.grading",),
        lacking="add an evaluation whose manifest tells of its grades",
    ),
    Item(
        "evaluation",
        4,
        "How are the metrics defined, and how certain are they?",
        ("evaluate",),
        fields=("details.scores|details.results|details.benchmarks",),
        lacking="add an evaluation to the page",
    ),
    Item(
        "evaluation",
        4,
        "Which measures of the run's own are used, and how are they computed?",
        ("readiness",),
        fields=("details", "params"),
        lacking="make the readiness card of the page",
    ),
    Item(
        "evaluation",
        4,
        "Are all checkpoints measured the same way?",
        ("evaluate",),
        having="recipe.same_parameters",
        fields=("params",),
        lacking="evaluate all checkpoints of the page with the same parameters",
    ),
    Item(
        "evaluation",
        4,
        "Under which conditions was generated: sampling, limits, seeds?",
        ("evaluate",),
        fields=("params.sampling|params.temperature|params.max_tokens|params.protocol|params.suite",),
        lacking="add an evaluation to the page",
    ),
    Item(
        "resources",
        3,
        "Can others get the training data?",
        ("tokenize",),
        fields=("published",),
        lacking=PUBLIC + "publish the datasets and name their addresses in the model card",
    ),
    Item(
        "resources",
        5,
        "Can others get the long chains of thought?",
        ("format",),
        having="recipe.long_chains",
        fields=("recipe.public_sources",),
        lacking="name a public dataset as source",
    ),
    Item(
        "resources",
        5,
        "Can others get the weights?",
        ("export",),
        fields=("published",),
        lacking=PUBLIC + "publish the exported checkpoint (midtrain release) and name its address",
    ),
    Item(
        "resources",
        4,
        "Which code trained it, to the commit?",
        ("train",),
        fields=("software.midtrain", "software.clean_commit"),
        lacking="train with a clean checkout of a commit that is public",
    ),
    Item(
        "resources",
        4,
        "Which code evaluated it, to the commit?",
        ("evaluate",),
        fields=("software.midtrain", "software.clean_commit"),
        lacking="evaluate with a clean checkout of a commit that is public",
    ),
    Item(
        "resources",
        4,
        "Are there instructions to do it again: the command and the parameters of every stage?",
        fields=("command", "params|inputs"),
        lacking="finish all stages of the page",
    ),
    Item(
        "resources",
        4,
        "Is there a document with all of it?",
        ("report",),
        fields=("output_bytes",),
        lacking="finish the page, which makes its report",
    ),
)
