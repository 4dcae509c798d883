"""Every key a page may set: typed, frozen; unknown keys are refused with the nearest valid name.

A page becomes one of two recipes: `CurateRecipe` makes a tokenized dataset, `TrainRecipe` makes a model. The parameter
classes of single stages are what a stage folder's `recipe.yaml` holds, so a node validates with the same classes.
"""

from recipes.schema.average import AverageParams, AverageStage, Ema, Member
from recipes.schema.base import (
    Cadence,
    Cluster,
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
from recipes.schema.curate import (
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
    BoilerplateFilter,
    LanguageFilter,
    LengthFilter,
    MathClassifierFilter,
    RepetitionFilter,
    UrlFilter,
    WordsFilter,
)
from recipes.schema.guards import GradNorm, Guards, LossSpike, Then
from recipes.schema.learning_rate import LearningRate, Shape
from recipes.schema.train import Export, ExportParams, TrainParams, TrainRecipe
from recipes.schema.train_stage import Blend, Branch, Optimizer, TrainStage, check_blend

__all__ = [
    "DECIDES_ANSWERS",
    "FILTER_PARAMETERS",
    "LISTS",
    "AverageParams",
    "AverageStage",
    "Blend",
    "BoilerplateFilter",
    "Branch",
    "Cadence",
    "ChooseThresholdStage",
    "CleanStage",
    "Cluster",
    "CurateRecipe",
    "CurateStage",
    "DecontaminateStage",
    "DedupStage",
    "DiscoverDomainsStage",
    "DrawStage",
    "Ema",
    "Endpoint",
    "Export",
    "ExportParams",
    "ExtractStage",
    "FilterStage",
    "FormatStage",
    "GradNorm",
    "Guards",
    "LabelStage",
    "LanguageFilter",
    "LearningRate",
    "LengthFilter",
    "LossSpike",
    "MathClassifierFilter",
    "Member",
    "Model",
    "NotNegative",
    "Optimizer",
    "Parallelism",
    "Positive",
    "PositiveFloat",
    "ReadStage",
    "RepetitionFilter",
    "RewriteStage",
    "SampleStage",
    "ScoreStage",
    "Shape",
    "Share",
    "Source",
    "Strict",
    "Then",
    "TokenizeStage",
    "TrainClassifierStage",
    "TrainParams",
    "TrainRecipe",
    "TrainStage",
    "UrlFilter",
    "WordsFilter",
    "check_blend",
    "nearest",
    "whole_steps",
]
