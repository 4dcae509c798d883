"""HTML -> text: every source of formulas, each once."""

import pytest
from web_page import content, one, page

from curation.extract.page import extract

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
KATEX_HTML = (
    '<span class="katex-html" aria-hidden="true"><span class="base"><span class="strut"></span>'
    f'<span class="mfrac">{katex_stack((-2.3, KATEX_ROOT), (-3.2, "<span class=frac-line></span>"), (-3.7, KATEX_POWER))}</span>'
    "</span></span>"
)
KATEX_TREE = f'<span class="katex">{KATEX_HTML}</span>'


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
        (KATEX_HTML, r"$\frac{x^{2}}{\sqrt{2}}$", "katex"),
        (f'<span class="katex-mathml"><math>{MATHML_SQUARE}</math></span>{KATEX_HTML}', "$a^{2}$", "mathml"),
        (f'<span class="math inline">{KATEX_TREE}</span>', r"$\frac{x^{2}}{\sqrt{2}}$", "katex"),
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
        ('<code class="code math js-render-math" data-math-style="inline">a_1 &lt; b</code>', "$a_1 < b$", "span"),
        (
            f'<code class="code math js-render-math" data-math-style="inline">{KATEX_TREE}</code>',
            r"$\frac{x^{2}}{\sqrt{2}}$",
            "katex",
        ),
        ('<code class="language-math math-inline">a_1</code>', "$a_1$", "span"),
        (r'<math-renderer class="js-inline-math" style="display: inline">$\sqrt 2$</math-renderer>', r"$\sqrt 2$", "span"),
        ('<math-renderer class="js-inline-math">$`a_1`$</math-renderer>', "$a_1$", "span"),
        ('<noscript><img class="latex" src="/1.png" alt="a_1"></noscript>', "$a_1$", "image"),
        (
            '<img class="latex lazy" data-src="/1.png" alt="a_1"><noscript><img class="latex" src="/1.png" alt="a_1"></noscript>',
            "$a_1$",
            "image",
        ),
        (
            '<noscript><img class="latex" src="/1.png" alt="a_1"></noscript> <img class="latex" data-src="/1.png" alt="a_1">',
            "$a_1$",
            "image",
        ),
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
        (
            '<pre class="code math js-render-math" data-math-style="display"><code><span lang="math">a^2</span>\n</code></pre>',
            "$$a^2$$",
        ),
        ('<math-renderer class="js-display-math" style="display: block">$$a^2$$</math-renderer>', "$$a^2$$"),
        ('<code class="language-math">a^2\n</code>', "$$a^2$$"),
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


def test_a_script_configures_what_is_named_elsewhere_on_the_page() -> None:
    config = '<script>c = {delimiters: [{left: "@@", right: "@@", display: false}]};</script>'
    for named in ('<link rel="preload" href="MathJax.js">', "<!-- by MathJax -->", '<p onclick="renderMathInElement(b, c)">'):
        assert one("@@x<c and y@@", named + config) == ("@@x<c and y@@", {"delimiters": 1})
    assert extract(page("<p>@@x@@</p>", config)).num_equations == 0
    assert one("`x/2 &lt; y`", '<link href="ASCIIMathML.js">') == (r"$\frac{x}{2}<y$", {"asciimath": 1})


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
