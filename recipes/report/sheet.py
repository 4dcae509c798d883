"""HTML pages that are one file each: the templates with the filters they write figures with, and the style they share."""

from pathlib import Path
from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup

from recipes.report import figures

TEMPLATES = Path(__file__).parent / "templates"
FILTERS = ("whole", "short", "share", "decimal", "scientific", "duration", "size", "moment", "words", "clean", "value")


def environment() -> Environment:
    made = Environment(
        loader=FileSystemLoader(TEMPLATES),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    made.filters |= {name: getattr(figures, name) for name in FILTERS}
    return made


def style() -> Markup:
    return Markup((TEMPLATES / "page.css").read_text(encoding="utf-8"))


def sheet(template: str, **values: Any) -> str:
    """A page without scripts, of a template that extends sheet.html.j2."""
    return environment().get_template(template).render(css=style(), scripts=[], script_hashes=[], **values)
