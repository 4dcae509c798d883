"""Formulas in the text of documents: marked here, drawn by KaTeX in the reader's browser, source where it cannot draw them.

KaTeX lies beside this file (katex/README.txt) and goes into a page only if it has formulas: then the page holds two scripts,
which its content security policy names by their hashes, so that nothing in a document's text can become a third.
"""

import base64
import hashlib
import re
from pathlib import Path

from markupsafe import Markup, escape

from recipes.report.figures import clean

KATEX = Path(__file__).parent / "katex"
DRAW = Path(__file__).parent / "templates" / "draw.js"
ELEMENT = Markup('<span class="{}" data-cut="{}">{}</span>')

# A single dollar opens a formula where no space follows and closes it where none precedes and no digit follows, as pandoc has
# it: "$5 and $10" are prices.
_FORMULA = re.compile(
    r"""
      (?<!\\)\$\$ .+? (?<!\\)\$\$
    | \\\[ .+? \\\]
    | \\\( .+? \\\)
    | \\begin\{(?P<environment> (?:equation|align|alignat|gather|multline|eqnarray) \*? )\} .+? \\end\{(?P=environment)\}
    | (?<![\\$])\$ (?![\s$]) (?: [^$\n] | \n(?!\s*\n) )+? (?<![\s\\])\$ (?![\d$])
    """,
    re.VERBOSE | re.DOTALL,
)


def mark_formulas(text: str) -> Markup:
    """The text as it is, escaped, each formula in an element that says how many characters on each side delimit it."""
    text = clean(text)
    parts, end = [], 0
    for match in _FORMULA.finditer(text):
        source = match[0]
        cut = 0 if source.startswith("\\begin") else 2 if source[:2] in ("$$", r"\[", r"\(") else 1
        kind = "tex" if cut == 1 or source.startswith(r"\(") else "tex display"
        parts.append(escape(text[end : match.start()]))
        parts.append(ELEMENT.format(kind, cut, source))
        end = match.end()
    return Markup("").join([*parts, escape(text[end:])])


def has_formulas(marked: str) -> bool:
    return '<span class="tex' in marked


def katex_style() -> Markup:
    return Markup((KATEX / "katex.min.css").read_text(encoding="utf-8"))


def katex_scripts() -> list[Markup]:
    """KaTeX, and what asks it to draw the formulas of a part of the page when that is unfolded."""
    return [Markup(file.read_text(encoding="utf-8")) for file in (KATEX / "katex.min.js", DRAW)]


def script_hash(script: str) -> str:
    """How a content security policy names a script."""
    return f"sha256-{base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()}"
