"""HTML -> text: formulas that a page shows as images or drawings, told by what stands in for them."""

import pytest
from web_page import PROSE, content, one, page

from curation.extract.images import is_latex
from curation.extract.page import extract


@pytest.mark.parametrize(
    ("body", "text"),
    [
        (r'<IMG WIDTH="52" SRC="img12.png" ALT="$ x^2+1 \ge 0$">', r"$x^2+1 \ge 0$"),
        (r'<IMG SRC="img13.gif" ALT="$\displaystyle \frac{a}{b}$">', r"$\frac{a}{b}$"),
        ('<IMG SRC="img14.png" ALT="% latex2html id marker 12\n$ \\Gamma$">', r"$\Gamma$"),
        ('<img class="formulaInl" alt="$x^2$" src="form_0.png"/>', "$x^2$"),
        (r'<img alt="\(a_1\)" src="1.png">', "$a_1$"),
        (r'<img alt="\frac{a}{b}" src="eq1.gif">', r"$\frac{a}{b}$"),
        (r'<img alt="\alpha \le \beta" src="eq1.gif">', r"$\alpha \le \beta$"),
        (r'<img alt="$latex \alpha$" src="a.png">', r"$\alpha$"),
        ('<img class="inlineformula" alt="pi" src="Inline1.svg">', r"$\pi$"),
    ],
)
def test_an_alt_text_that_is_latex_is_a_formula_whatever_its_class_or_host(body: str, text: str) -> None:
    assert one(body) == (text, {"image": 1})


@pytest.mark.parametrize(
    ("body", "text"),
    [
        (r'<img class="formulaDsp" alt="\[ \int f \]" src="form_1.png"/>', r"$$\int f$$"),
        (r'<img alt="\begin{displaymath}x=1\end{displaymath}" src="img2.png">', "$$x=1$$"),
        (r'<img alt="\begin{align}x&amp;=1\end{align}" src="img2.png">', r"$$\begin{align}x&=1\end{align}$$"),
        ('<img class="numberedequation" alt=" sum_(k=1)^infty1/(k^2) " src="1.svg">', r"$$\sum_{k=1}^{\infty}\frac{1}{k^{2}}$$"),
        ('<span class="mjpage mjpage__block"><svg><title>x &lt; 2</title><g></g></svg></span>', "$$x < 2$$"),
    ],
)
def test_displayed_formulas_are_told_from_others_by_their_image(body: str, text: str) -> None:
    assert content(f"<p>Before {body}. After</p>") == f"Before\n{text}.\nAfter"


@pytest.mark.parametrize(
    "alt",
    [
        *("", "$", "\\", "$$$$", "$$ - $$$", "$5 and $10", "$5 or save $", "$BIG SALE$", "$a$ and $b$"),
        *(r"C:\Users\alpha", r"\\server\alpha", r"images\pi.png", r"Line one\new line", r"¯\_(ツ)_/¯"),
        *(r"Plot of \frac{a}{b} over time", r"\begin{figure}\includegraphics{x}\end{figure}", r"\begin{center}x\end{center}"),
    ],
)
def test_prices_paths_figures_and_sentences_in_alt_texts_are_no_formulas(alt: str) -> None:
    assert not is_latex(alt)
    assert content(f'<p>So <img alt="{alt}" src="a.png"> holds.</p>') == "So holds."


def test_a_label_that_stands_for_every_formula_is_none() -> None:
    assert content('<p>So <img class="displayformula" alt="Equation" src="1.gif"> holds.</p>') == "So holds."


def test_canvas_wiris_and_mathjax_node_keep_formulas_in_places_of_their_own() -> None:
    canvas = '<img class="equation_image" alt="LaTeX: x^2" src="/equation_images/x%255E2" data-equation-content="x^2">'
    assert one(canvas) == ("$x^2$", {"attribute": 1})
    mathml = "«math xmlns=¨http://www.w3.org/1998/Math/MathML¨»«mi»x«/mi»«mo»§#8804;«/mo»«mn»2«/mn»«/math»"
    assert one(f'<img class="Wirisformula" alt="x at most 2" data-mathml="{mathml}">') == (r"$x\leq2$", {"mathml": 1})
    drawn = r'<span class="mjpage"><svg><title id="MathJax-SVG-1-Title">{\displaystyle x^2}</title><g></g></svg></span>'
    assert one(drawn) == ("$x^2$", {"svg": 1})


def test_a_script_of_the_page_is_no_twin_of_a_drawn_formula_but_one_of_a_formula_is() -> None:
    drawn = "<span class='MathJax_CHTML' data-mathml='&lt;math&gt;&lt;mi&gt;q&lt;/mi&gt;&lt;/math&gt;'>q</span>"
    assert one(f"{drawn}<script>var other=1;</script>") == ("$q$", {"mathml": 1})
    assert one(f'{drawn}<script type="math/tex">q</script>') == ("$q$", {"script": 1})


def test_what_katex_has_drawn_at_any_length_stands_once_and_the_limit_is_named() -> None:
    annotation = '<annotation encoding="application/x-tex">x_9</annotation>'
    written = f'<span class="katex-mathml"><math><semantics><mi>x</mi>{annotation}</semantics></math></span>'
    drawn = '<span class="katex-html">' + "<span>x9</span>" * 20_000 + "</span>"
    found = extract(page(f'<p>So <span class="katex">{written}{drawn}</span> holds.</p>'))
    assert found.text.split(PROSE)[1].strip() == "So $x_9$ holds."
    assert (found.equations_by_kind, found.limits) == ({"annotation": 1}, ("formula_chars",))
