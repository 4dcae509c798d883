"""HTML -> text: every source of formulas, main content, code and lists, charsets, hostile pages, the datatrove step."""

import re
import time
from collections import Counter

import pytest
from datatrove.data import Document

from curation.extract import decode
from curation.extract.asciimath import to_latex as from_asciimath
from curation.extract.mathml import to_latex
from curation.extract.nesting import MAX_DEPTH, MAX_LISTS
from curation.extract.page import Extracted, extract
from curation.extract.rewrite import MAX_FORMULA_CHARS
from curation.extract.step import ExtractHtml
from curation.extract.tables import characters, lines, rows
from curation.extract.tree import parse

PROSE = "Every student of analysis should once have seen this result together with a complete proof of it."


def page(body: str, head: str = "") -> str:
    return (
        f"<html><head><title>Notes &amp; proofs</title>{head}</head><body>"
        '<nav><ul><li><a href="/">Home</a></li><li><a href="/in">Sign in</a></li></ul></nav>'
        f"<main><h1>Notes</h1><p>{PROSE}</p>{body}<p>{PROSE}</p></main>"
        "<footer>Terms of service</footer></body></html>"
    )


def content(body: str, head: str = "") -> str:
    """The extracted text of `body` alone, between the two paragraphs around it."""
    return extract(page(body, head)).text.split(PROSE)[1].strip("\n")


def one(body: str, head: str = "") -> tuple[str, dict[str, int]]:
    """The text of a sentence around one formula, and where its LaTeX came from."""
    found = extract(page(f"<p>So {body} holds.</p>", head))
    assert found.num_equations == 1
    return found.text.split(PROSE)[1].strip().removeprefix("So ").removesuffix(" holds."), found.equations_by_kind


# ---------------------------------------------------------------------------------------------------- sources


MATHML_SQUARE = "<msup><mi>a</mi><mn>2</mn></msup>"
CHTML_ROOT = (
    "<mjx-msqrt><mjx-sqrt><mjx-surd><mjx-mo><mjx-c class='mjx-c221A'></mjx-c></mjx-mo></mjx-surd><mjx-box>"
    "<mjx-mi><mjx-c class='mjx-c1D45B TEX-I'></mjx-c></mjx-mi></mjx-box></mjx-sqrt></mjx-msqrt>"
)


def katex_stack(*rows: tuple[float, str]) -> str:
    inside = "".join(f'<span style="top:{top}em;"><span class="pstrut"></span>{box}</span>' for top, box in rows)
    return f'<span class="vlist-t"><span class="vlist-r"><span class="vlist">{inside}</span></span></span>'


KATEX_ROOT = (
    f'<span class="mord sqrt">{katex_stack((-3, "<span class=mord>2</span>"), (-2.9, "<span class=hide-tail></span>"))}</span>'
)
KATEX_POWER = (
    '<span class="mord"><span class="mord mathnormal">x</span>'
    f'<span class="msupsub">{katex_stack((-3.06, "<span class=mord>2</span>"))}</span></span>'
)
KATEX_TREE = (
    '<span class="katex"><span class="katex-html" aria-hidden="true"><span class="base"><span class="strut"></span>'
    f'<span class="mfrac">{katex_stack((-2.3, KATEX_ROOT), (-3.2, "<span class=frac-line></span>"), (-3.7, KATEX_POWER))}</span>'
    "</span></span></span>"
)


@pytest.mark.parametrize(
    ("body", "text", "kind"),
    [
        (r'<script type="math/tex">\frac{a}{b} < 1</script>', r"$\frac{a}{b} < 1$", "script"),
        (r'<script type="math/tex">% <![CDATA[ x<y %]]></script>', "$x<y$", "script"),
        (f'<script type="math/mml"><math>{MATHML_SQUARE}</math></script>', "$a^{2}$", "mathml"),
        ('<script type="math/asciimath">x^2 + 1/2</script>', r"$x^{2}+\frac{1}{2}$", "asciimath"),
        (
            '<span class="katex"><span class="katex-mathml"><math><semantics><mi>x</mi><annotation encoding="application/x-tex">'
            r'a &lt; \frac{1}{2}</annotation></semantics></math></span><span class="katex-html"><i>a&lt;1/2</i></span></span>',
            r"$a < \frac{1}{2}$",
            "annotation",
        ),
        (
            f'<span class="katex"><span class="katex-mathml"><math>{MATHML_SQUARE}</math></span>'
            '<span class="katex-html" aria-hidden="true">a2</span></span>',
            "$a^{2}$",
            "mathml",
        ),
        (KATEX_TREE, r"$\frac{x^{2}}{\sqrt{2}}$", "katex"),
        (
            r'<math alttext="\mathcal{L}(\theta)\leq 1" class="ltx_Math"><mi>ignored</mi></math>',
            r"$\mathcal{L}(\theta)\leq 1$",
            "alttext",
        ),
        (
            "<math><mi>x</mi><mo>=</mo><mfrac><mrow><mo>−</mo><mi>b</mi></mrow><mn>2</mn></mfrac></math>",
            r"$x=\frac{-b}{2}$",
            "mathml",
        ),
        ('<math alttext="x squared plus one"><mi>x</mi><mo>∈</mo><mi>ℝ</mi></math>', r"$x\in\mathbb{R}$", "mathml"),
        (
            '<span class="mwe-math-element"><span style="display: none;"><math alttext="{\\displaystyle x^{2}}">'
            '<semantics><mi>x</mi><annotation encoding="application/x-tex">{\\displaystyle x^{2}}</annotation></semantics>'
            "</math></span>"
            '<img src="/math/render/svg/1" class="mwe-math-fallback-image-inline" alt="{\\displaystyle x^{2}}"></span>',
            "$x^{2}$",
            "annotation",
        ),
        (
            '<span class="mwe-math-element"><img class="mwe-math-fallback-image-inline" src="/1.svg" alt="x_{1}"></span>',
            "$x_{1}$",
            "image",
        ),
        (
            f'<mjx-container jax="CHTML"><mjx-math><mjx-mi>a2</mjx-mi></mjx-math><mjx-assistive-mml><math>{MATHML_SQUARE}</math>'
            "</mjx-assistive-mml></mjx-container>",
            "$a^{2}$",
            "mathml",
        ),
        (f'<mjx-container jax="CHTML"><mjx-math>{CHTML_ROOT}</mjx-math></mjx-container>', r"$\sqrt{n}$", "chtml"),
        (
            '<mjx-container jax="SVG"><svg><g data-mml-node="math"><g data-mml-node="mfrac"><g data-mml-node="mn"><use '
            'data-c="31"/></g><g data-mml-node="mi"><use data-c="1D465"/></g><rect/></g></g></svg></mjx-container>',
            r"$\frac{1}{x}$",
            "svg",
        ),
        (
            r'<mjx-container><mjx-math data-latex="\alpha_1"><mjx-mi>a</mjx-mi></mjx-math></mjx-container>',
            r"$\alpha_1$",
            "attribute",
        ),
        (
            '<img class="latex" alt="&#92;displaystyle u_t = |u|^2" src="https://s0.wp.com/latex.php?latex=u&#038;bg=ffffff">',
            "$u_t = |u|^2$",
            "image",
        ),
        (
            '<img alt="" src="https://s0.wp.com/latex.php?latex=%5Calpha+%2B+1&#038;bg=ffffff&#038;fg=000000">',
            r"$\alpha + 1$",
            "image",
        ),
        (r'<img src="https://latex.codecogs.com/gif.latex?\dpi{120}&space;%5Csigma%5E2%3Dn&plus;1">', r"$\sigma^2=n+1$", "image"),
        ('<img src="/cgi-bin/mimetex.cgi?%5Csqrt%7B2%7D">', r"$\sqrt{2}$", "image"),
        (r'<img src="https://www.zhihu.com/equation?tex=e%5Ex" alt="e^x">', "$e^x$", "image"),
        ('<img class="latex" src="//latex.artofproblemsolving.com/1.png" alt="$\\gcd(m,n)=1$">', r"$\gcd(m,n)=1$", "image"),
        (r"<tex-math>\documentclass{minimal}\begin{document}$E[u]&gt;0$\end{document}</tex-math>", "$E[u]>0$", "jats"),
        (
            f"<alternatives><tex-math><![CDATA[a<b]]></tex-math><mml:math>{MATHML_SQUARE}</mml:math></alternatives>",
            "$a<b$",
            "jats",
        ),
        ("<mml:math><mml:msup><mml:mi>a</mml:mi><mml:mn>2</mml:mn></mml:msup></mml:math>", "$a^{2}$", "mathml"),
        (r'<span class="tex" data-expr="\lambda_1 &gt; 0"><b>drawn</b></span>', r"$\lambda_1 > 0$", "attribute"),
        (r'<span data-latex="\pi r^2">drawn</span>', r"$\pi r^2$", "attribute"),
        (r'<span class="math inline">x_1 &lt; 2</span>', "$x_1 < 2$", "span"),
        (r"\(0\le x&lt;2\)", r"\(0\le x<2\)", "delimiters"),
        (r"$a_1<b_1$", "$a_1<b_1$", "delimiters"),
        (r"$$a_1$$", "$$a_1$$", "delimiters"),
    ],
)
def test_a_formula_is_found_wherever_a_page_keeps_it(body: str, text: str, kind: str) -> None:
    assert one(body) == (text, {kind: 1})


@pytest.mark.parametrize(
    ("body", "text"),
    [
        ('<script type="math/tex; mode=display">\na\n=b\n</script>', "$$a\n=b$$"),
        ('<span class="katex-display"><span class="katex"><math><mi>x</mi></math></span></span>', "$$x$$"),
        ('<math display="block"><mi>x</mi></math>', "$$x$$"),
        (
            '<mjx-container display="true"><mjx-math><mjx-mi><mjx-c class="mjx-c78"></mjx-c></mjx-mi></mjx-math></mjx-container>',
            "$$x$$",
        ),
        ('<img class="latexcenter" src="//latex.artofproblemsolving.com/4.png" alt="\\[m\\le 2\\]">', r"$$m\le 2$$"),
        (
            '<span class="math-block" data-math="x = 1"><span class="katex"><span class="katex-html">x=1</span></span></span>',
            "$$x = 1$$",
        ),
        ("\\[\nx &amp; y\n\\]", "\\[\nx & y\n\\]"),
        (
            "\\begin{align}\n a &amp;= b \\\\\n\n c &amp;&gt; d<br>\n\\end{align}",
            "\\begin{align}\na &= b \\\\\nc &> d\n\\end{align}",
        ),
    ],
)
def test_displayed_formulas_stand_on_lines_of_their_own(body: str, text: str) -> None:
    assert content(f"<p>Before {body}. After</p>") == f"Before\n{text}.\nAfter"


def test_the_cells_of_a_latexml_equation_row_are_one_formula() -> None:
    body = (
        '<table class="ltx_equationgroup ltx_eqn_table"><tr class="ltx_equation ltx_eqn_row"><td class="ltx_eqn_cell"></td>'
        r'<td><math alttext="\displaystyle f(x)" display="inline"><mi>f</mi></math></td>'
        r'<td><math alttext="\displaystyle=x^{2}" display="inline"><mi>x</mi></math>,</td>'
        '<td rowspan="1"><span class="ltx_tag ltx_tag_equation">(1)</span></td></tr></table>'
    )
    assert content(body) == "$$f(x) =x^{2},$$"


def test_delimiters_that_a_page_configures_are_protected() -> None:
    config = """<script>MathJax = {tex: {inlineMath: [['$', '$'], ['[tex]', '[/tex]']]}};</script>"""
    text, kinds = one("[tex]a_1<b[/tex]", config)
    assert (text, kinds) == ("[tex]a_1<b[/tex]", {"delimiters": 1})
    assert one("`x/2 &lt; y`", '<script src="ASCIIMathML.js"></script>') == (r"$\frac{x}{2}<y$", {"asciimath": 1})
    assert content("<p>the command `ls` and `cp`</p>") == "the command `ls` and `cp`"
    auto_render = '<script>renderMathInElement(b, {delimiters: [{left: "@@", right: "@@", display: false}]});</script>'
    assert one("@@x<c and y@@", auto_render) == ("@@x<c and y@@", {"delimiters": 1})


def test_prices_and_code_are_not_formulas() -> None:
    found = extract(page("<p>It costs $5 here and $6 there, or US$ 7.</p><pre>echo $HOME $PATH</pre><code>$x$</code>"))
    assert found.num_equations == 0
    assert "It costs $5 here and $6 there, or US$ 7." in found.text
    assert "echo $HOME $PATH" in found.text
    assert content('<p>Price <a title="$5">a</a> or $6</p>') == "Price a or $6"


def test_scripts_become_indices_but_notes_and_ordinals_do_not() -> None:
    assert content("<p>a<sub>n+1</sub> = 2a<sub>n</sub> + 3<sup>n<sub>k</sub></sup></p>") == "a_{n+1} = 2a_{n} + 3^{n_{k}}"
    assert content("<p><i>x</i><sup>2</sup> is the 2<sup>nd</sup> power.</p>") == "x^{2} is the 2nd power."
    assert (
        content('<p>As is known<sup>12</sup> and shown<sup><a href="#1">3</a></sup> here.</p>')
        == "As is known12 and shown3 here."
    )


# ---------------------------------------------------------------------------------------------------- no doubling


def test_the_drawn_twin_of_a_formula_is_dropped() -> None:
    drawn = '<span class="MathJax" id="MathJax-Element-1-Frame"><nobr><span class="math">∫f</span></nobr></span>'
    script = r'<script type="math/tex" id="MathJax-Element-1">\int f</script>'
    preview = '<span class="MathJax_Preview">int f</span>'
    assert one(preview + drawn + script) == (r"$\int f$", {"script": 1})


def test_the_drawn_twin_is_read_when_the_page_has_lost_its_script() -> None:
    mathml = "&lt;math&gt;&lt;msqrt&gt;&lt;mi&gt;x&lt;/mi&gt;&lt;/msqrt&gt;&lt;/math&gt;"
    assert one(f'<span class="MathJax" id="MathJax-Element-1-Frame" data-mathml="{mathml}">√x</span>') == (
        r"$\sqrt{x}$",
        {"mathml": 1},
    )


def test_a_word_right_after_a_drawn_formula_is_kept_apart() -> None:
    assert content("<p>the <math><mi>k</mi></math>heads, the <math><mi>n</mi></math>th</p>") == "the $k$ heads, the $n$th"


def test_text_that_looks_like_a_placeholder_is_not_taken_for_one() -> None:
    assert extract(page("<p>\ufdd00\ufdd1 and \ufdd07\ufdd1 <math><mi>x</mi></math></p>")).text.count("$x$") == 1


def test_the_same_page_gives_the_same_text_whatever_came_before() -> None:
    html = page(r"<p>\(x\) and <math><mi>y</mi></math></p>")
    first = extract(html)
    extract(page("<p>@@z@@</p>", "<script>M={inlineMath:[['@@','@@']]}</script>"))
    assert [extract(html) for _ in range(3)] == [first] * 3
    assert first.equations_by_kind == {"delimiters": 1, "mathml": 1}


# ---------------------------------------------------------------------------------------------------- MathML


@pytest.mark.parametrize(
    ("mathml", "latex"),
    [
        ("<mi>sin</mi><mo>&#x2061;</mo><mi>α</mi><mi>x</mi>", r"\sin\alpha x"),
        ("<msubsup><mi>x</mi><mi>i</mi><mn>2</mn></msubsup>", "x_{i}^{2}"),
        ("<msup><msub><mi>x</mi><mi>i</mi></msub><mn>2</mn></msup>", "{x_{i}}^{2}"),
        ("<msup><mrow><mi>a</mi><mi>b</mi></mrow><mi>n</mi></msup>", "{ab}^{n}"),
        ("<msup><mi>f</mi><mo>′</mo></msup>", "f'"),
        ("<mroot><mi>x</mi><mn>3</mn></mroot>", r"\sqrt[3]{x}"),
        ("<munderover><mo>∑</mo><mrow><mi>k</mi><mo>=</mo><mn>0</mn></mrow><mi>n</mi></munderover>", r"\sum_{k=0}^{n}"),
        ("<munder><mi>lim</mi><mrow><mi>x</mi><mo>→</mo><mn>0</mn></mrow></munder>", r"\lim_{x\to0}"),
        ("<munder><mi>x</mi><mi>y</mi></munder>", r"\underset{y}{x}"),
        ("<mover><mi>x</mi><mo>^</mo></mover><mover><mi>y</mi><mo>→</mo></mover>", r"\hat{x}\vec{y}"),
        ("<mover><mo>=</mo><mtext>def</mtext></mover>", r"\overset{\text{def}}{=}"),
        ('<mfenced open="[" close=")"><mi>a</mi><mi>b</mi></mfenced>', "[a,b)"),
        (
            "<mo>(</mo><mtable><mtr><mtd><mn>1</mn></mtd><mtd><mn>0</mn></mtd></mtr><mtr><mtd><mn>0</mn></mtd><mtd><mn>1</mn></mtd></mtr>"
            "</mtable><mo>)</mo>",
            r"\begin{pmatrix}1 & 0 \\ 0 & 1\end{pmatrix}",
        ),
        (
            "<mtable><mtr><mtd><mi>a</mi></mtd></mtr><mtr><mtd><mi>b</mi></mtd></mtr></mtable>",
            r"\begin{matrix}a \\ b\end{matrix}",
        ),
        (
            "<mo>{</mo><mtable><mtr><mtd><mn>1</mn></mtd></mtr><mtr><mtd><mn>2</mn></mtd></mtr></mtable>",
            r"\begin{cases}1 \\ 2\end{cases}",
        ),
        ("<mtable><mlabeledtr><mtd><mtext>(3)</mtext></mtd><mtd><mi>a</mi></mtd></mlabeledtr></mtable>", r"a\tag{3}"),
        (
            '<mi mathvariant="double-struck">R</mi><mi>𝐯</mi><mi>𝔤</mi><mi mathvariant="normal">d</mi>',
            r"\mathbb{R}\mathbf{v}\mathfrak{g}\mathrm{d}",
        ),
        ("<mtext>if 5% of&#xA0;x_1</mtext>", r"\text{if 5\% of x\_1}"),
        ("<mmultiscripts><mi>X</mi><mi>a</mi><none/><mprescripts/><mi>b</mi><mi>c</mi></mmultiscripts>", "{}_{b}^{c}X_{a}"),
        ('<mfrac linethickness="0"><mi>n</mi><mi>k</mi></mfrac>', r"{{n} \atop {k}}"),
        ("<mi>x</mi><mo>&lt;</mo><mi>y</mi><mo>&amp;</mo><mo>{</mo>", r"x<y\&\{"),
        ("<menclose notation='box'><mi>x</mi></menclose><mphantom><mi>y</mi></mphantom>", r"\boxed{x}\phantom{y}"),
    ],
)
def test_mathml_becomes_latex(mathml: str, latex: str) -> None:
    assert to_latex(parse(mathml)) == latex


@pytest.mark.parametrize(
    ("asciimath", "latex"),
    [
        ("sum_(i=1)^n i^3=((n(n+1))/2)^2", r"\sum_{i=1}^{n}i^{3}=\left(\frac{n(n+1)}{2}\right)^{2}"),
        ("lim_(h->0)(f(x+h)-f(x))/h", r"\lim_{h\to0}\frac{f(x+h)-f(x)}{h}"),
        ("sqrt(x)/root(3)(y)", r"\frac{\sqrt{x}}{\sqrt[3]{y}}"),
        ("abs(x) <= norm(vec v)", r"\left|x\right|\le\left\|\vec{v}\right\|"),
        ("sin^2x/cosx", r"\frac{\sin^{2}x}{\cos x}"),
        ("a^-1 in RR", r"a^{-1}\in\mathbb{R}"),
        ('x "for 5%"', r"x\text{for 5\%}"),
        ("{(1,2):}", r"\left\{(1,2)\right."),
        ("))((", r"))\left(\left(\right.\right."),
        ("$#", r"\$\#"),
    ],
)
def test_asciimath_becomes_latex(asciimath: str, latex: str) -> None:
    assert from_asciimath(asciimath) == latex


def test_any_length_and_depth_of_asciimath_is_read() -> None:
    assert from_asciimath("(" * 3_000).count("(") == 3_000
    assert from_asciimath("frac" * 1_000).startswith(r"\frac{\frac{")
    assert from_asciimath("sin" * 1_000).count(r"\sin") == 1_000
    assert from_asciimath("x/" * 20_000).startswith(r"\texttt{x/x/")


def test_the_data_files_are_whole() -> None:
    for name in ("symbols.tsv", "accents.tsv", "under_accents.tsv"):
        assert len(characters(name)) == len(lines(name))
    assert all(re.fullmatch(r"[a-zA-Z]+\*?", name) for name in lines("environments.txt"))
    assert {where for _, where in rows("image_services.tsv")} == {"query", "path", "alt", "latex", "chl", "tex", "math", "from"}


# ---------------------------------------------------------------------------------------------------- the rest of the page


def test_title_main_content_lists_code_and_tables() -> None:
    code = "def f(n):\n    if n:\n        return  1"
    found = extract(
        page(
            "<ul><li>one item of the list with <a href=x>a link</a> inside</li></ul><ul><li>two</li></ul><ol><li>first</li></ol>"
            f"<figure><pre><code>{code}</code></pre><figcaption>A listing.</figcaption></figure>"
            "<table><tr><th>F</th><th>G</th></tr><tr><td>a</td><td>b</td></tr></table>"
        )
    )
    assert found.title == "Notes & proofs"
    assert code in found.text
    for kept in ("• one item of the list with a link inside\n", "• two\n", "1. first", "A listing.", "F\t\tG\na\t\tb"):
        assert kept in found.text
    for dropped in ("Sign in", "Terms of service"):
        assert dropped not in found.text
    assert "Photo" not in content("<figure><img src=x><figcaption>Photo: the press</figcaption></figure>")


def test_a_page_of_nothing_is_empty_and_one_of_navigation_is_not() -> None:
    assert extract("") == Extracted(text="", title=None, num_equations=0, equations_by_kind={})
    assert extract("<body><nav>All there is</nav></body>").text == "All there is"


# ---------------------------------------------------------------------------------------------------- hostile pages


@pytest.mark.parametrize(
    "html",
    [
        "<div>" * 50_000 + "text",
        "<ul><li><a>x</a>" * 20_000 + "</ul>" * 20_000,
        "<math>" * 50_000,
        "<math>" + "<mrow>" * 50_000 + "<mi>x</mi></math>",
        "<math>" + "<mover>" * 3_000 + "x" + "<mo>a</mo></mover>" * 3_000 + "</math>",
        '<math alttext="' * 50_000,
        '<span class="MathJax">' * 10_000 + "x" + "</span>" * 10_000,
        '<tr class="ltx_eqn_row">' * 10_000 + "</tr>" * 10_000,
        "<sub>x" * 50_000 + "</sub>" * 50_000,
        r"\begin{align}" * 50_000,
        r"\(" * 50_000 + "$" * 50_001,
        "<!--" * 50_000 + "<script>" * 50_000,
        "<mjx-container><mjx-math>" + "<mjx-msup>" * 50_000 + "</mjx-math></mjx-container>",
        f"<p>{PROSE}</p>" * 100_000,
    ],
    ids=lambda html: html[:12],
)
def test_hostile_pages_end_in_bounded_time(html: str) -> None:
    started = time.process_time()
    extract(html)
    assert time.process_time() - started < 10


def test_unclosed_tags_zero_bytes_and_lone_surrogates_are_survived() -> None:
    assert extract(f"<p>{PROSE}\0 a\ud800b <b>bold<p>\\(x\\)").text.split("\n\n") == [f"{PROSE} a?b bold", r"\(x\)"]


@pytest.mark.parametrize(
    ("html", "limit"),
    [
        ("<div>" * (MAX_DEPTH + 1) + f"<p>{PROSE}</p>", "depth"),
        ("<ul><li>" * (MAX_LISTS + 1) + f"<p>{PROSE}</p>", "depth"),
        (f"<p>{PROSE}" + "<br>" * 1_000, "tags"),
        (f"<p>{PROSE}<math><mrow>" + "x" * MAX_FORMULA_CHARS + "</mrow></math>", "formula_chars"),
        (f"<p>{PROSE}</p>" + "a<sub>1</sub>" * 101, "formulas"),
    ],
    ids=lambda value: value[:13],
)
def test_a_page_beyond_a_limit_keeps_its_text_and_the_limit_is_named(
    html: str, limit: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("curation.extract.scan.MAX_TAGS", 1_000)
    monkeypatch.setattr("curation.extract.rewrite.MAX_PLACES", 100)
    found = extract(html)
    assert PROSE in found.text
    assert found.limits == (limit,)
    assert extract(f"<p>{PROSE}").limits == ()


def test_deep_lists_are_not_indented_beyond_measure() -> None:
    assert len(extract("<ul><li>" * 100 + "<li>word" * 2_000).text) < 200 * 2_000


# ---------------------------------------------------------------------------------------------------- charsets


@pytest.mark.parametrize(
    ("raw", "content_type", "text"),
    [
        ("naïve ∑".encode(), "text/html; charset=iso-8859-1", "naïve ∑"),
        ("naïve".encode("latin-1"), "text/html; charset=ISO-8859-1", "naïve"),
        ("\ufeffé".encode("utf-16-le"), "text/html; charset=utf-8", "é"),
        ("<html><p>été</p></html>".encode("utf-16-le"), None, "<html><p>été</p></html>"),
        ('<meta charset="windows-1251"><p>Теорема</p>'.encode("cp1251"), None, '<meta charset="windows-1251"><p>Теорема</p>'),
        ('<meta charset="gb2312">证明'.encode("gbk"), "text/html; charset=utf-8", '<meta charset="gb2312">证明'),
        ("証明".encode("iso2022_jp"), "text/html; charset=iso-2022-jp", "証明"),
        (b"a\xffb", "text/html; charset=utf-8", "aÿb"),
        (b"plain", "text/html; charset=no-such-charset", "plain"),
        (b"", None, ""),
    ],
)
def test_bytes_are_believed_more_than_labels(raw: bytes, content_type: str | None, text: str) -> None:
    assert decode(raw, content_type) == text


def test_utf8_with_a_broken_byte_stays_utf8() -> None:
    assert decode(("Доказательство теоремы " * 9).encode() + b"\xd0", None).endswith("теоремы \ufffd")


def test_any_bytes_are_decoded() -> None:
    for label in ("utf-7", "x-user-defined", "idna", "hex", "utf-16", "unicode_escape", "euc-kr"):
        assert isinstance(decode(bytes(range(256)) * 3, f"text/html; charset={label}"), str)


# ---------------------------------------------------------------------------------------------------- the step


def test_the_step_yields_text_and_drops_with_reasons(monkeypatch: pytest.MonkeyPatch) -> None:
    dropped: list[tuple[str, str]] = []
    counted: Counter[tuple[str, ...]] = Counter()
    step = ExtractHtml(
        drop=lambda doc, reason: dropped.append((doc.id, reason)),
        count=lambda *keys, n=1: counted.update({keys: n}),
        min_chars=100,
        max_html_chars=5_000,
    )
    docs = [
        Document(text=page(r"<p>\(x\) and \(y\), <math alttext='z'></math></p><ul><li><a href=x>\(n\) more</a></ul>"), id="good"),
        Document(text="<p>short</p>", id="short"),
        Document(text="<div>" * 300, id="deep"),
        Document(text="x" * 5_001, id="large"),
    ]
    kept = list(step.run(iter(docs)))
    assert [doc.id for doc in kept] == ["good"]
    assert kept[0].metadata == {
        "title": "Notes & proofs",
        "num_equations": 3,
        "equations_by_kind": {"alttext": 1, "delimiters": 2},
    }
    assert dropped == [("short", "extract_empty"), ("deep", "extract_empty"), ("large", "extract_too_large")]
    assert docs[1].text == "<p>short</p>"
    assert counted == {
        ("equations", "delimiters"): 2,
        ("equations", "alttext"): 1,
        ("equations_left_out",): 1,
        ("limited_pages", "depth"): 1,
    }
    counts = {label: step.stats[label].total for label in ("pages", "kept", "dropped", "dropped_extract_empty", "equations")}
    assert counts == {"pages": 4, "kept": 1, "dropped": 3, "dropped_extract_empty": 2, "equations": 3}

    def fail(html: str) -> Extracted:
        raise RecursionError(html)

    monkeypatch.setattr("curation.extract.step.extract", fail)
    assert list(step.run(iter([Document(text="<p>x</p>", id="broken")]))) == []
    assert dropped[-1] == ("broken", "extract_RecursionError")


def test_the_step_refuses_limits_that_keep_nothing() -> None:
    with pytest.raises(ValueError, match="min_chars is 5 and max_html_chars 0: give a min_chars of 0 or more"):
        ExtractHtml(drop=lambda doc, reason: None, count=lambda *keys, n=1: None, min_chars=5, max_html_chars=0)
