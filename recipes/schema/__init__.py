"""Every key a page may set: typed, frozen; unknown keys are refused with the nearest valid name.

A page becomes one of three recipes: `CurateRecipe` makes a tokenized dataset, `TrainRecipe` makes a model, `ProveRecipe` tells
what checkpoints can do. The parameter classes of single stages are what a stage folder's `recipe.yaml` holds, so a node
validates with the same classes.
"""

from recipes.schema.average import AverageParams, AverageStage, Ema, Member
from recipes.schema.base import (
    Cadence,
    Model,
    NotNegative,
    Parallelism,
    Positive,
    PositiveFloat,
    Share,
    Strict,
    nearest,
    whole_steps,
)
from recipes.schema.classifier import ChooseThresholdStage, DiscoverDomainsStage, DrawStage, ScoreStage, TrainClassifierStage
from recipes.schema.cluster import Cluster, Duration, Jobs, Restarts, Slurm, seconds_of
from recipes.schema.curate import (
    CheckAnswersStage,
    CleanStage,
    CurateRecipe,
    CurateStage,
    DecontaminateStage,
    DedupStage,
    ExtractStage,
    FilterStage,
    FormatStage,
    ReadStage,
    SampleStage,
    Source,
    TokenizeStage,
)
from recipes.schema.endpoint import DECIDES_ANSWERS, Endpoint, LabelStage, RewriteStage
from recipes.schema.filters import (
    FILTER_PARAMETERS,
    LISTS,
    SCRIPTS,
    BoilerplateFilter,
    HesitationFilter,
    LanguageFilter,
    LengthFilter,
    MathClassifierFilter,
    ProblemFormatFilter,
    RepetitionFilter,
    ScriptsFilter,
    TokensFilter,
    UrlFilter,
    WordsFilter,
)
from recipes.schema.guards import GradNorm, Guards, LossSpike, Then
from recipes.schema.learning_rate import LearningRate, Shape
from recipes.schema.paths import BuildGraphsStage, ResumeTracesStage, SamplePathsStage
from recipes.schema.prove import Engine, ProveRecipe, Serving
from recipes.schema.readiness import Readiness
from recipes.schema.sampling import CheckSummariesStage, KeepVerifiedStage, SampleAnswersStage
from recipes.schema.selection import DropSolvedStage, LabelTopicStage, SelectStage
from recipes.schema.sweep import Metric, Sweep, SweepValue
from recipes.schema.train import Export, ExportParams, TrainParams, TrainRecipe
from recipes.schema.train_stage import Blend, Branch, Optimizer, TrainStage, check_blend

Recipe = CurateRecipe | TrainRecipe | ProveRecipe

__all__ = [
    "DECIDES_ANSWERS",
    "FILTER_PARAMETERS",
    "LISTS",
    "SCRIPTS",
    "AverageParams",
    "AverageStage",
    "Blend",
    "BoilerplateFilter",
    "Branch",
    "BuildGraphsStage",
    "Cadence",
    "CheckAnswersStage",
    "CheckSummariesStage",
    "ChooseThresholdStage",
    "CleanStage",
    "Cluster",
    "CurateRecipe",
    "CurateStage",
    "DecontaminateStage",
    "DedupStage",
    "DiscoverDomainsStage",
    "DrawStage",
    "DropSolvedStage",
    "Duration",
    "Ema",
    "Endpoint",
    "Engine",
    "Export",
    "ExportParams",
    "ExtractStage",
    "FilterStage",
    "FormatStage",
    "GradNorm",
    "Guards",
    "HesitationFilter",
    "Jobs",
    "KeepVerifiedStage",
    "LabelStage",
    "LabelTopicStage",
    "LanguageFilter",
    "LearningRate",
    "LengthFilter",
    "LossSpike",
    "MathClassifierFilter",
    "Member",
    "Metric",
    "Model",
    "NotNegative",
    "Optimizer",
    "Parallelism",
    "Positive",
    "PositiveFloat",
    "ProblemFormatFilter",
    "ProveRecipe",
    "ReadStage",
    "Readiness",
    "Recipe",
    "RepetitionFilter",
    "Restarts",
    "ResumeTracesStage",
    "RewriteStage",
    "SampleAnswersStage",
    "SamplePathsStage",
    "SampleStage",
    "ScoreStage",
    "ScriptsFilter",
    "SelectStage",
    "Serving",
    "Shape",
    "Share",
    "Slurm",
    "Source",
    "Strict",
    "Sweep",
    "SweepValue",
    "Then",
    "TokenizeStage",
    "TokensFilter",
    "TrainClassifierStage",
    "TrainParams",
    "TrainRecipe",
    "TrainStage",
    "UrlFilter",
    "WordsFilter",
    "check_blend",
    "nearest",
    "seconds_of",
    "whole_steps",
]
