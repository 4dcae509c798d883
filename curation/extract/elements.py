"""Formulas that are elements of the page: which element shows one, and where in it the LaTeX is.

In order of trust: TeX annotation, alternative text of the same element, MathML, boxes drawn by MathJax. Each reader is
given the raw attributes and the inside of an element, and gives None where it shows no formula.
"""

import re
from collections.abc import Callable, Mapping
from html import unescape

from curation.extract.asciimath import to_latex as from_asciimath
from curation.extract.images import read_image
from curation.extract.katex import from_katex
from curation.extract.latex import TWIN, Formula, formula, looks_like_latex
from curation.extract.mathml import to_latex
from curation.extract.source import ATTRIBUTES, attributes
from curation.extract.tables import lines
from curation.extract.tree import from_chtml, from_svg, parse

# A tag without an end takes the rest, as in browsers: what follows is not read again from every "<" in it
_MATH = re.compile(rf"<((?:m(?:ml)?:)?)math(?=[\s/>])({ATTRIBUTES})(?:>|\Z)", re.IGNORECASE)
_MATH_END = re.compile(r"</(?:m(?:ml)?:)?math\s*>", re.IGNORECASE)
_MATH_OR_TEXT = re.compile(r"<(/?)(math|mtext)(?=[\s/>])")
_ANNOTATION = re.compile(rf"<(?:m(?:ml)?:)?annotation(?=[\s/>])({ATTRIBUTES})(?:>|\Z)", re.IGNORECASE)
_IMAGE = re.compile(rf"<img(?=[\s/>])({ATTRIBUTES})>", re.IGNORECASE)
_EQUATION_NUMBER = re.compile(r"<span[^<>]*ltx_tag.*?(?:</td>|\Z)", re.DOTALL)
_ELEMENT_ID = re.compile(r"MathJax-Element-\d+(?=-Frame)")
_CDATA = re.compile(r"\s*<!\[CDATA\[(.*)\]\]>\s*", re.DOTALL)
_TAGS = re.compile(rf"</?[a-zA-Z]{ATTRIBUTES}(?:>|\Z)")
# How WIRIS writes MathML into an attribute
_WIRIS = str.maketrans({"«": "<", "»": ">", "¨": '"', "`": "'", "§": "&"})
_NOT_LATEX = frozenset(["", "true", "false", "inline", "block", "display", "none", "null", "undefined"])

# In the class of an element worth a look: one that draws a formula, one that holds its LaTeX.
DRAWN = re.compile(r"katex|MathJax|MJX|mjx-|mjpage|mwe-math")
WRITTEN = re.compile(r"math (?:inline|display)|render-math|language-math")
_MATHJAX_2 = frozenset(
    (
        *("MathJax", "MathJax_Display", "MathJax_FullWidth", "MathJax_Preview", "MathJax_PlainSource_Display"),
        *("MathJax_SVG", "MathJax_SVG_Display", "MathJax_CHTML", "MathJax_MathML", "MathJax_PHTML"),
        *("MJX_Assistive_MathML", "MJXc-display", "mjx-chtml"),
    )
)


def read_math(raw: str, inside: str) -> Formula | None:
    """A math element: its TeX annotation, else its alttext, else its MathML as LaTeX."""
    attrs = attributes(raw)
    is_display = attrs.get("display") == "block" or attrs.get("mode") == "display"
    for match in _ANNOTATION.finditer(inside) if "annotation" in inside else ():
        if "tex" not in attributes(match[1]).get("encoding", "").lower():
            continue
        end = inside.find("</", match.end())
        if end < 0:
            break
        found = formula(_text(inside[match.end() : end]), is_display=is_display, kind="annotation")
        if found:
            return found
    alttext = attrs.get("alttext", "")
    if alttext and (looks_like_latex(alttext) or len(alttext.split()) < 3):  # some publishers put spoken words there
        return formula(alttext, is_display=is_display, kind="alttext")
    return formula(to_latex(parse(inside)), is_display=is_display, kind="mathml")


def read_script(raw: str, inside: str) -> Formula | None:
    """The scripts MathJax 2 reads: math/tex, math/mml, math/asciimath. None for one that is no formula."""
    kind = attributes(raw).get("type", "").lower()
    if not kind.startswith(("math/", "text/tex", "text/latex")):
        return None
    is_display = re.search(r"mode\s*=\s*display", kind) is not None
    inside = _uncommented(inside)
    if "mml" in kind:
        return _first_math(inside) or TWIN
    if "asciimath" in kind:
        return formula(from_asciimath(inside), is_display=is_display, kind="asciimath") or TWIN
    return formula(inside, is_display=is_display, kind="script") or TWIN


def read_mathjax_3(raw: str, inside: str) -> Formula:
    """An mjx-container: the MathML for screen readers, else MathJax 4's data-latex, else the boxes or paths drawn."""
    is_display = attributes(raw).get("display") == "true"
    found = _first_math(inside)
    if found:
        return _as_display(found) if is_display else found
    tree = parse(inside)
    drawn, svg = tree.find("mjx-math"), tree.find("svg")
    latex = ((drawn or svg or tree).attrs.get("data-latex") or "").strip()
    if latex:
        return formula(latex, is_display=is_display, kind="attribute") or TWIN
    if drawn:
        return formula(to_latex(from_chtml(drawn)), is_display=is_display, kind="chtml") or TWIN
    if svg:
        return formula(to_latex(from_svg(svg)), is_display=is_display, kind="svg") or TWIN
    return TWIN  # not drawn yet when the page was saved: nothing to keep


def read_span(raw: str, inside: Callable[[], str], has_script: Callable[[str | None], bool]) -> Formula | None:
    """KaTeX, MathJax 2 and Wikipedia mark formulas that they draw by the class of a span or div."""
    attrs = attributes(raw)
    classes = set(attrs.get("class", "").split())
    if classes & {"katex", "katex-display"}:
        content = inside()
        found = _first_math(content) or (_drawn_by_katex(content) if "katex-html" in content else None)
        return _as_display(found) if found and "katex-display" in classes else found
    if "katex-html" in classes:  # without an element of class katex around it
        return _drawn_by_katex(inside())
    if "mwe-math-element" in classes:
        return _wikipedia(inside())
    if "mjpage" in classes:
        return _mathjax_node(inside(), is_display="mjpage__block" in classes) or _mathjax_2(attrs, classes, inside(), has_script)
    if classes & _MATHJAX_2:
        return _mathjax_2(attrs, classes, inside(), has_script)
    return None


def read_written(raw: str, inside: str) -> Formula | None:
    """LaTeX as the text of an element, before a script draws it: Pandoc, GitLab, code blocks of Markdown in the language math."""
    attrs = attributes(raw)
    classes = set(attrs.get("class", "").split())
    if "math" in classes and classes & {"inline", "display"}:
        if "<" in inside or re.match(r"\s*(?:\\[(\[]|\$)", inside):
            return None
    elif not classes & {"js-render-math", "language-math"} or "<math" in inside or DRAWN.search(inside):
        return None
    is_inline = attrs.get("data-math-style") == "inline" or classes & {"inline", "math-inline"}
    return formula(unescape(_TAGS.sub("", inside)), is_display=not is_inline, kind="span")


def read_math_renderer(raw: str, inside: str) -> Formula | None:
    """GitHub's element: the formula in its delimiters, for a script to draw; None when it has been drawn."""
    latex = unescape(inside).replace("$`", "$").replace("`$", "$")
    return None if "<" in inside else formula(latex, is_display="js-display-math" in raw, kind="span")


def read_noscript(inside: str) -> Formula | None:
    """The image of a formula for readers without scripts, whose twin is loaded late; None for anything else."""
    images = _IMAGE.findall(inside)
    return read_image(images[0]) if len(images) == 1 and not _TAGS.sub("", inside).strip() else None


def read_attribute(raw: str) -> Formula | None:
    """An element of any name that carries its LaTeX in an attribute such as data-latex."""
    attrs = attributes(raw)
    if "«math" in attrs.get("data-mathml", ""):
        return _first_math(attrs["data-mathml"].translate(_WIRIS))
    latex = next((attrs[name] for name in lines("latex_attributes.txt") if attrs.get(name, "").strip()), "").strip()
    if latex.lower() in _NOT_LATEX or latex.startswith(('{"', "[{", "http:", "https:")) or not looks_like_latex(latex):
        return None
    marks = f"{attrs.get('class', '')} {attrs.get('data-display', '')} {attrs.get('data-type', '')}".lower()
    is_display = re.search(r"\b(?:block|display|true)\b|-block|-display|displaymath", marks) is not None
    return formula(latex, is_display=is_display, kind="attribute")


def read_jats(raw: str, inside: str) -> Formula | None:
    """tex-math of journal articles (JATS), often a whole LaTeX document around one formula."""
    return formula(_text(inside), is_display="display" in attributes(raw).get("display", ""), kind="jats")


def read_alternatives(raw: str, inside: str) -> Formula | None:
    """JATS may give a formula several times, as LaTeX, MathML and image: one is enough."""
    start = inside.find("<tex-math")
    opened = inside.find(">", start)
    end = inside.find("</tex-math", opened)
    found = read_jats("", inside[opened + 1 : end]) if start >= 0 and opened >= 0 and end >= 0 else None
    return found or _first_math(inside)


def read_equation_row(inside: str) -> str | None:
    """LaTeX of a row of a LaTeXML equation, whose cells are pieces of one formula; None if text stands between them."""
    pieces: list[str] = []
    rest: list[str] = []
    position = 0
    for raw, content, start, end in _math_elements(inside):
        found = read_math(raw, content)
        pieces.append(found.text.strip("$") if found else "")
        rest.append(inside[position:start])
        position = end
    rest.append(inside[position:])
    between = _EQUATION_NUMBER.sub("", " ".join(rest))
    if not pieces or re.search(r"\w", unescape(_TAGS.sub(" ", between))):
        return None
    cell = unescape(_TAGS.sub(" ", rest[-1].split("</td", 1)[0])).strip()
    return " ".join(pieces) + (cell if cell in (".", ",", ";") else "")


READERS: dict[str, Callable[[str, str], Formula | None]] = {
    "math": read_math,
    "script": read_script,
    "mjx-container": read_mathjax_3,
    "tex-math": read_jats,
    "alternatives": read_alternatives,
    "math-renderer": read_math_renderer,
}


def _math_elements(inside: str) -> list[tuple[str, str, int, int]]:
    found = []
    position = 0
    while match := _MATH.search(inside, position):
        end = _MATH_END.search(inside, match.end())
        if not end:
            break
        position = end.end()
        found.append((match[2], inside[match.end() : end.start()], match.start(), position))
    return found


def outer_math_end(html: str, start: int, stop: int) -> tuple[int, int] | None:
    """Where the inside of a math element, whose inside begins at `start`, and the element end: not at the end of another in
    its text. None if that is not before `stop`, or if another stands outside of text: then this one was never closed."""
    depth, is_text = 0, False
    for match in _MATH_OR_TEXT.finditer(html, start, stop):
        is_closing, name = match[1] == "/", match[2]
        if name == "mtext":
            is_text = not is_closing or depth > 0
        elif not is_closing and not is_text:
            return None
        elif is_closing and depth == 0:
            return match.start(), html.find(">", match.end()) + 1 or len(html)
        else:
            depth += -1 if is_closing else 1
    return None


def _first_math(inside: str) -> Formula | None:
    found = next(iter(_math_elements(inside)), None)
    return read_math(found[0], found[1]) if found else None


def _drawn_by_katex(inside: str) -> Formula | None:
    return formula(to_latex(from_katex(parse(inside))), is_display=False, kind="katex")


def _wikipedia(inside: str) -> Formula | None:
    found = _first_math(inside)
    if found:
        return found
    image = _IMAGE.search(inside)
    return read_image(image[1]) if image else None


def _mathjax_node(inside: str, *, is_display: bool) -> Formula | None:
    """A formula that was drawn as SVG before the page was sent: its LaTeX is the title of the drawing."""
    found = _first_math(inside)
    if found:
        return _as_display(found) if is_display else found
    _, _, title = inside.partition("<title")
    latex = title.partition(">")[2].partition("</title")[0]
    return formula(unescape(latex), is_display=is_display, kind="svg")


def _mathjax_2(
    attrs: Mapping[str, str], classes: set[str], inside: str, has_script: Callable[[str | None], bool]
) -> Formula | None:
    """Drawn formulas are twins of a script nearby. Where a saved page has lost its scripts, their MathML is read."""
    identity = _ELEMENT_ID.search(f"{attrs.get('id', '')} {inside}")
    if has_script(identity[0] if identity else None):
        return TWIN
    is_display = any("isplay" in name for name in classes)
    mathml = attrs.get("data-mathml") or next(iter(re.findall(r'data-mathml="([^"]*)"', inside)), "")
    found = _first_math(mathml if "<math" in mathml else unescape(mathml)) or _first_math(inside)
    return _as_display(found) if found and is_display else found


def _as_display(found: Formula) -> Formula:
    if found.text.startswith("$$"):
        return Formula(found.text, True, found.kind)
    return Formula(f"${found.text}$", True, found.kind)


def _text(inside: str) -> str:
    cdata = _CDATA.fullmatch(inside)
    return cdata[1] if cdata else unescape(inside)


def _uncommented(script: str) -> str:
    """Scripts hide formulas from old parsers: % <![CDATA[ ... %]]> or <!-- ... -->."""
    if "<!" not in script and ">" not in script:
        return script
    script = script.strip()
    opened = script.removeprefix("%").lstrip()
    if opened.startswith("<![CDATA["):
        script = opened.removeprefix("<![CDATA[")
    if script.endswith("]]>"):
        script = script.removesuffix("]]>").rstrip().removesuffix("%")
    return script.strip().removeprefix("<!--").removesuffix("-->")
