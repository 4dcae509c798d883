"""Content MathML becomes the formula it means, or none."""

import pytest
from web_page import PROSE, page

from curation.extract.content_mathml import UnreadableMath
from curation.extract.mathml import to_latex
from curation.extract.page import extract
from curation.extract.tables import lines
from curation.extract.tree import MAX_DEPTH, parse

A_PLUS_B = "<apply><plus/><ci>a</ci><ci>b</ci></apply>"
A_MINUS_B = "<apply><minus/><ci>a</ci><ci>b</ci></apply>"


@pytest.mark.parametrize(
    ("mathml", "latex"),
    [
        ("<apply><plus/><ci>x</ci><apply><power/><ci>y</ci><cn>2</cn></apply></apply>", "x+y^{2}"),
        (f"<apply><minus/><ci>c</ci>{A_MINUS_B}</apply>", "c-(a-b)"),
        (f"<apply><minus/>{A_MINUS_B}<ci>c</ci></apply>", "a-b-c"),
        (f"<apply><minus/>{A_PLUS_B}</apply>", "-(a+b)"),
        (f"<apply><times/><cn>2</cn><cn>3</cn><ci>x</ci>{A_PLUS_B}</apply>", r"2\cdot3x(a+b)"),
        ("<apply><times/><cn>3</cn><apply><power/><cn>2</cn><ci>n</ci></apply></apply>", r"3\cdot2^{n}"),
        (f"<apply><divide/>{A_PLUS_B}<cn>2</cn></apply>", r"\frac{a+b}{2}"),
        (f"<apply><power/>{A_PLUS_B}<cn>2</cn></apply>", "(a+b)^{2}"),
        ("<apply><power/><cn>-1</cn><ci>n</ci></apply>", "(-1)^{n}"),
        ("<apply><root/><degree><cn>3</cn></degree><ci>x</ci></apply><apply><root/><ci>y</ci></apply>", r"\sqrt[3]{x}\sqrt{y}"),
        ("<apply><leq/><cn type='rational'>1<sep/>2</cn><ci>x</ci><pi/></apply>", r"\frac{1}{2}\leq x\leq\pi"),
        ("<reln><eq/><apply><sin/><ci>x</ci></apply><cn>0</cn></reln>", r"\sin(x)=0"),
        (
            "<apply><log/><logbase><cn>2</cn></logbase><ci>x</ci></apply><apply><ci>f</ci><ci>x</ci><ci>y</ci></apply>",
            r"\log_{2}(x)f(x,y)",
        ),
        ("<apply><abs/><ci>x</ci></apply><apply><factorial/><ci>n</ci></apply>", "|x|n!"),
        ("<apply><and/><ci>p</ci><apply><or/><ci>q</ci><ci>r</ci></apply></apply>", r"p\wedge(q\vee r)"),
        (
            "<apply><sum/><bvar><ci>k</ci></bvar><lowlimit><cn>1</cn></lowlimit><uplimit><infinity/></uplimit><ci>k</ci></apply>",
            r"\sum_{k=1}^{\infty}k",
        ),
        (
            f"<apply><int/><bvar><ci>x</ci></bvar><lowlimit><cn>0</cn></lowlimit><uplimit><pi/></uplimit>{A_PLUS_B}</apply>",
            r"\int_{0}^{\pi}(a+b)dx",
        ),
        ("<apply><eq/><ci><msub><mi>x</mi><mn>1</mn></msub></ci><exponentiale/></apply>", "x_{1}=e"),
    ],
)
def test_content_mathml_becomes_latex(mathml: str, latex: str) -> None:
    assert to_latex(parse(mathml)) == latex


@pytest.mark.parametrize(
    ("mathml", "named"),
    [
        ("<apply><curl/><ci>x</ci></apply>", "content MathML with 'curl', which is not known: the formula is left out"),
        ("<apply/>", "content MathML with 'apply', which is not known"),
        ("<apply><sin/></apply>", "'sin'"),
        ("<apply><sum/><ci>x</ci></apply>", "'sum'"),
        ("<apply><sin/><degree><cn>2</cn></degree><ci>x</ci></apply>", "'sin'"),
        ("<piecewise><piece><cn>1</cn></piece></piecewise>", "'piecewise'"),
        ("<cn type='complex-polar'>1<sep/>2</cn>", "'cn type=complex-polar'"),
        ("<mlongdiv><mn>3</mn><mn>4</mn></mlongdiv>", "<mlongdiv> writes a calculation in columns"),
        ("<mstack><mn>3</mn><mn>4</mn></mstack>", "<mstack> writes a calculation in columns"),
    ],
)
def test_what_would_become_a_wrong_formula_is_refused(mathml: str, named: str) -> None:
    with pytest.raises(UnreadableMath, match=named):
        to_latex(parse(mathml))


def test_a_formula_that_cannot_be_written_is_left_out_and_its_limit_named() -> None:
    found = extract(page("<p>So <math><mlongdiv><mn>3</mn><mn>4</mn></mlongdiv></math> and $x$ hold.</p>"))
    assert found.text.split(PROSE)[1].strip() == "So and $x$ hold."
    assert (found.equations_by_kind, found.limits) == ({"delimiters": 1}, ("mathml",))
    annotated = '<math><semantics><mstack/><annotation encoding="application/x-tex">3+4</annotation></semantics></math>'
    assert extract(page(annotated)).limits == ()


def test_a_formula_in_the_words_of_a_formula_does_not_end_it() -> None:
    inner = "<mtext>for all <math><mi>y</mi></math> in</mtext>"
    assert (
        r"So $x\text{for all }y\text{ in}Z$ holds."
        in extract(page(f"<p>So <math><mi>x</mi>{inner}<mi>Z</mi></math> holds.</p>")).text
    )
    unclosed = extract(page("<p><math><mi>x</mi></p><p>So <math><mi>y</mi></math> holds.</p><p>And $z$ too.</p>"))
    assert "And $z$ too." in unclosed.text


def test_formulas_that_never_end_in_the_words_of_others_are_looked_through_once() -> None:
    found = extract("<math><mtext><math></math>" * 40_000 + f"<p>{PROSE}")
    assert PROSE in found.text


def test_any_depth_of_operators_is_read_at_once() -> None:
    for name in ("power", "minus", "divide", "plus", "factorial", "root"):
        second = "" if name in ("factorial", "root") else "<cn>2</cn>"
        depth = MAX_DEPTH - 5
        assert to_latex(parse(f"<apply><{name}/>" * depth + "<ci>x</ci>" + f"{second}</apply>" * depth)).count("x") == 1


def test_the_list_of_operators_is_whole() -> None:
    found = [line.split("\t") for line in lines("content_mathml.tsv")]
    assert {kind for _, kind, _ in found} == {"logic", "relation", "sum", "product", "function", "big", "constant"}
    assert len({name for name, _, _ in found}) == len(found)
