"""A page and its overrides become one frozen recipe: Hydra's Compose API composes, pydantic validates.

Nothing here imports torch or datatrove; errors name the page, the key, the value and the nearest valid name.
"""

from functools import cache
from pathlib import Path
from typing import Any, get_args

from hydra import compose, initialize_config_dir
from hydra.core.global_hydra import GlobalHydra
from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.core.override_parser.types import OverrideType, QuotedString
from hydra.errors import HydraException
from omegaconf import DictConfig, OmegaConf, open_dict
from omegaconf.errors import OmegaConfBaseException
from pydantic import ValidationError

from recipes.schema import CurateRecipe, CurateStage, ProveRecipe, Recipe, TrainRecipe, nearest

RECIPES = Path(__file__).parent
KINDS: dict[str, type[Recipe]] = {"curate": CurateRecipe, "train": TrainRecipe, "prove": ProveRecipe}
STAGE_KINDS = (
    *(kind.model_fields["do"].annotation.__args__[0] for kind in get_args(get_args(CurateStage)[0])),
    "train",
    "average",
)


# Hydra composes its own settings (launchers, logging) into every page and then removes them: a quarter of the time
NOTHING_OF_HYDRAS = [
    f"~hydra/{group}" for group in ("help", "hydra_help", "hydra_logging", "job_logging", "launcher", "sweeper", "env")
]


def pages() -> list[str]:
    """All pages: "curate/NAME", "train/NAME" and "prove/NAME"."""
    return [f"{kind}/{file.stem}" for kind in KINDS for file in sorted((RECIPES / kind).glob("*.yaml"))]


def groups() -> dict[str, list[str]]:
    """Config groups and their options: {"model": ["demo", "llama3_1_8b", ...], ...}. Sweeps are pages (recipes/sweep.py)."""
    folders = sorted(p for p in RECIPES.iterdir() if p.is_dir() and p.name not in (*KINDS, "sweep"))
    found = {folder.name: sorted(file.stem for file in folder.glob("*.yaml")) for folder in folders}
    return {name: options for name, options in found.items() if options}


def load(page: str, overrides: list[str] | tuple[str, ...] = ()) -> Recipe:
    """The recipe of a page. Overrides are Hydra's: `branch=long stages.decay.lr.peak=1e-5 ~stages.clean.filters.words`.

    Raises ValueError for an unknown page, key, option or value."""
    if page not in pages():
        if (RECIPES / f"{page}.yaml").is_file() and page.startswith("sweep/"):
            raise ValueError(f"{page} is a sweep, not a page; call: midtrain sweep {page} (with --run, --submit or --status)")
        raise ValueError(f"there is no page {page!r}; {nearest(page, pages())}")
    content = _compose(page, list(overrides))
    if "page" in content:
        raise ValueError(f"page {page}: unknown key 'page'; a page is named by its file")
    try:
        return KINDS[page.partition("/")[0]].model_validate({"page": page, **content})
    except ValidationError as error:
        raise ValueError(f"page {page}: {explain(error)}") from None


def _compose(page: str, overrides: list[str]) -> dict[str, Any]:
    GlobalHydra.instance().clear()
    with initialize_config_dir(config_dir=str(RECIPES), version_base="1.3"):
        try:
            config = _compose_replacing(page, tuple(_forced(override) for override in overrides))
            content = OmegaConf.to_container(config, resolve=True)
        except (HydraException, OmegaConfBaseException) as error:
            told = " ".join(str(error).split()).partition(" To append to your default list")[0]  # a page takes its own groups
            raise ValueError(f"page {page}: {told}") from None
    assert isinstance(content, dict)
    return {str(key): value for key, value in content.items()}


@cache
def _compose_replacing(page: str, overrides: tuple[str, ...]) -> DictConfig:
    """Hydra merges `key={...}` into what is there, so that an old dataset would silently stay in a new blend. A mapping that is
    given replaces, and stays where it was: the order of stages is the order of work.

    Composed once a process, which is what planning spends its time on: twenty datasets stand under every point of a sweep. What
    the environment says is not in it yet."""
    config: DictConfig = compose(config_name=page, overrides=[*overrides, *NOTHING_OF_HYDRAS])
    replaced: list[str] = []
    for override in overrides:
        parsed = OverridesParser.create().parse_override(override)
        if parsed.type is not OverrideType.FORCE_ADD:
            continue
        key, value = parsed.key_or_group, parsed.value()
        if isinstance(value, dict) or key.startswith(tuple(f"{whole}." for whole in replaced)):  # later, into what was replaced
            replaced.append(key)
            with open_dict(config):
                OmegaConf.update(config, key, _plain(value), merge=False)
    return config


def _plain(value: Any) -> Any:
    """What Hydra's grammar parsed, without its marks of quotation."""
    if isinstance(value, dict):
        return {_plain(key): _plain(item) for key, item in value.items()}
    if isinstance(value, list):
        return [_plain(item) for item in value]
    return value.text if isinstance(value, QuotedString) else value


def _forced(override: str) -> str:
    """`key=value` becomes `++key=value`, so that keys a page leaves at their default can be set too and the schema alone
    judges which keys exist. Group choices (`model=demo`) are checked here and stay as they are."""
    try:
        parsed = OverridesParser.create().parse_override(override)
    except HydraException:
        raise ValueError(f"cannot read the override {override!r}; write it as key=value (Hydra's grammar)") from None
    options = groups().get(parsed.key_or_group)
    if options is None or parsed.type is OverrideType.DEL:  # ~probe: the page without it
        return f"++{override}" if parsed.type is OverrideType.CHANGE else override
    chosen = parsed.value()
    for option in chosen if isinstance(chosen, list) else [chosen]:
        if option not in options:
            raise ValueError(f"{parsed.key_or_group}={option}: there is no such option; {nearest(str(option), options)}")
    return override.lstrip("+")  # which Hydra would look for below the page's own folder


def explain(error: ValidationError) -> str:
    """What is wrong, by key, in one line."""
    parts = []
    for problem in error.errors():
        # pydantic puts the tag of a discriminated union into the path: stages.NAME.TAG.key
        loc = [str(key) for key in problem["loc"] if key != "[key]"]
        where = ".".join(loc[:2] + loc[3:] if loc[:1] == ["stages"] and len(loc) > 2 and loc[2] in STAGE_KINDS else loc)
        message = problem["msg"].removeprefix("Value error, ")
        given = problem.get("input")
        shown = "" if isinstance(given, dict) or problem["type"] in ("value_error", "missing") else f" (got {given!r})"
        parts.append(f"{where}: {message}{shown}" if where else f"{message}{shown}")
    return "; ".join(parts)
