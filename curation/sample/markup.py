"""Formulas as web pages carry them, and text with formulas as HTML.

Text holds formulas as $…$ and $$…$$. MARKUPS names the ways to render them; "mathml_bare" has no LaTeX in the page.
"""

import re
from collections.abc import Callable
from functools import lru_cache
from html import escape
from urllib.parse import quote

from curation.sample.mathml import to_characters, to_mathml

_FORMULA = re.compile(r"\$\$(.+?)\$\$|\$([^$]+)\$", re.DOTALL)

Formula = Callable[[str, bool], str]  # (LaTeX, is display) -> HTML


def equations(text: str) -> list[str]:
    """The LaTeX of all formulas in the order of the text."""
    return [display or inline for display, inline in _FORMULA.findall(text)]


def text_to_html(text: str, formula: Formula) -> str:
    """Escapes the text and renders its formulas."""
    out, end = [], 0
    for match in _FORMULA.finditer(text):
        out.append(escape(text[end : match.start()], quote=False))
        out.append(formula(match[1] or match[2], match[1] is not None))
        end = match.end()
    out.append(escape(text[end:], quote=False))
    return "".join(out)


@lru_cache(maxsize=20_000)
def _presentation(tex: str) -> str:
    return to_mathml(tex)


@lru_cache(maxsize=20_000)
def _characters(tex: str) -> str:
    return to_characters(tex)


def _plain(tex: str, display: bool) -> str:
    return escape(f"$${tex}$$" if display else f"${tex}$", quote=False)


def _mathjax2(tex: str, display: bool) -> str:
    """A page saved after rendering: preview, rendered twin, and the script that holds the source."""
    mode = "; mode=display" if display else ""
    twin = f'<span class="MathJax" role="presentation"><span class="math">{_characters(tex)}</span></span>'
    return f'<span class="MathJax_Preview"></span>{twin}<script type="math/tex{mode}">{tex}</script>'


def _mathjax3(tex: str, display: bool) -> str:
    return escape(f"\\[{tex}\\]" if display else f"\\({tex}\\)", quote=False)


def _math(tex: str, display: bool, inside: str, attributes: str = "") -> str:
    mode = "block" if display else "inline"
    return f'<math xmlns="http://www.w3.org/1998/Math/MathML" display="{mode}"{attributes}>{inside}</math>'


def _annotated(tex: str) -> str:
    note = f'<annotation encoding="application/x-tex">{escape(tex, quote=False)}</annotation>'
    return f"<semantics>{_presentation(tex)}{note}</semantics>"


def _mathml(tex: str, display: bool) -> str:
    return _math(tex, display, _annotated(tex))


def _mathml_bare(tex: str, display: bool) -> str:
    return _math(tex, display, _presentation(tex))


def _latexml(tex: str, display: bool) -> str:
    return _math(tex, display, _presentation(tex), f' class="ltx_Math" alttext="{escape(tex)}"')


def _katex(tex: str, display: bool) -> str:
    source = f'<span class="katex-mathml">{_math(tex, display, _annotated(tex))}</span>'
    twin = f'<span class="katex-html" aria-hidden="true"><span class="base">{_characters(tex)}</span></span>'
    span = f'<span class="katex">{source}{twin}</span>'
    return f'<span class="katex-display">{span}</span>' if display else span


def _wordpress(tex: str, display: bool) -> str:
    address = f"https://s0.wp.example/latex.php?latex={quote(tex)}&amp;bg=ffffff&amp;fg=000000&amp;s={int(display)}"
    image = f'<img src="{address}" alt="{escape(tex)}" title="{escape(tex)}" class="latex" />'
    return f"<br />{image}<br />" if display else image


MARKUPS: dict[str, Formula] = {
    "mathjax2": _mathjax2,
    "mathjax3": _mathjax3,
    "mathml": _mathml,
    "mathml_bare": _mathml_bare,
    "katex": _katex,
    "latexml": _latexml,
    "wordpress": _wordpress,
    "none": _plain,
}

# what a page of each markup has in its head
HEADS = {
    "mathjax2": '<script src="/js/mathjax/2.7.5/MathJax.js?config=TeX-AMS_CHTML"></script>',
    "mathjax3": (
        "<script>window.MathJax = {tex: {inlineMath: [['\\\\(', '\\\\)']]}};</script>"
        '<script id="MathJax-script" async src="/js/mathjax@3/es5/tex-mml-chtml.js"></script>'
    ),
    "katex": '<link rel="stylesheet" href="/css/katex.min.css">',
    "latexml": '<link rel="stylesheet" href="LaTeXML.css" type="text/css">',
    "wordpress": '<meta name="generator" content="WordPress 5.8" />',
}
