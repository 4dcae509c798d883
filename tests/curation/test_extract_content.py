"""What of a page is its content, and that no formula is taken for something else."""

import pytest

from curation.extract.latex import identity
from curation.extract.page import extract

PROSE = [
    f"The {number} step of the argument takes a sequence, passes to a subsequence, and shows that it converges in the mean."
    for number in ("first", "second", "third", "fourth", "fifth")
]
ARTICLE = "".join(f"<p>{sentence}</p>" for sentence in PROSE)
LINKS = "".join(f'<li><a href="/{number}">Another page about number {number}</a></li>' for number in range(12))


def lines(body: str) -> list[str]:
    return [line.strip() for line in extract(f"<html><body>{body}</body></html>").text.split("\n") if line.strip()]


@pytest.mark.parametrize(
    "furniture",
    [
        f"<nav><ul>{LINKS}</ul></nav>",
        f"<ul>{LINKS}</ul>",
        "<footer>All rights reserved by the society that keeps this site.</footer>",
        '<div class="cookie-banner">This site keeps cookies on your machine, as all of them do.</div>',
        '<div id="related_posts"><p>A long teaser of another article that has nothing to do with this one at all.</p></div>',
        '<div class="comment-list"><p>First! I have always said so, and nobody wanted to listen to me back then.</p></div>',
        '<p class="byline">By A. Writer on Monday</p>',
        '<div style="display: none">This text was hidden from the readers of the page by its style.</div>',
        "<figure><img src=x><figcaption>A photograph of the city hall by night</figcaption></figure>",
        f"<h2>See also</h2><ul>{LINKS}</ul>",
        "<svg><title>Icon</title><text>icon</text></svg><button>Press here</button><noscript>Enable scripts</noscript>",
    ],
    ids=lambda furniture: furniture[:20],
)
def test_what_surrounds_the_content_is_dropped(furniture: str) -> None:
    assert lines(f"<div><div>{furniture}</div><div>{ARTICLE}</div></div>") == PROSE
    assert lines(f"<div>{ARTICLE}{furniture}</div>") == PROSE


@pytest.mark.parametrize(
    "holder",
    [
        '<aside class="sidebar"><p>Note that {} holds.</p></aside>',
        '<div class="comments"><p>Is {} true as well?</p></div>',
        '<div style="display:none"><p>Solution: {}.</p></div>',
        "<figure><figcaption>The graph of {}</figcaption></figure>",
        "<footer><p>We write {} throughout.</p></footer><nav>Terms</nav>",
        '<ul><li>{} <a href="x">and a link that is far longer than the formula beside it</a></li></ul>',
    ],
    ids=lambda holder: holder[:20],
)
@pytest.mark.parametrize("formula", ['<math alttext="a^2"><mi>a</mi></math>', r"\(a^2\)"], ids=["element", "delimiters"])
def test_a_formula_outside_of_links_is_never_dropped(holder: str, formula: str) -> None:
    html = f"<html><body><div>{ARTICLE}</div><div>{holder.format(formula)}</div></body></html>"
    found = extract(html)
    assert found.num_equations == 1
    assert found.num_left_out == 0
    assert "a^2" in found.text
    assert all(sentence in found.text for sentence in PROSE)


def test_labels_in_mathml_are_kept_from_drawings() -> None:
    label = '<svg><path d="M0 0"/><foreignObject><math alttext="a^2"><mi>a</mi></math></foreignObject><text>axis</text></svg>'
    assert extract(f"<div>{ARTICLE}<p>{label}</p></div>").equations_by_kind == {"alttext": 1}


@pytest.mark.parametrize(
    "linked",
    [
        r'<h2><a href="#s1">Computing \(\pi\)</a></h2>',
        r'<div>See <a href="/w">Euler\'s identity \(e^{i\pi}=-1\)</a></div>',
        r'<p><a href="/eq1">\[E=mc^2\]</a></p>',
        '<p><a href="/f.png"><img src="https://latex.codecogs.com/gif.latex?x%2By" alt="x+y"></a></p>',
    ],
)
def test_a_formula_in_a_link_within_the_content_stays(linked: str) -> None:
    found = extract(f"<div>{ARTICLE}{linked}{ARTICLE}</div>")
    assert (found.num_equations, found.num_left_out) == (1, 0)


RELATED = "".join(rf"<li><a href=x>What is \(x^{number}\) for odd numbers?</a></li>" for number in range(3))


@pytest.mark.parametrize(
    "menu",
    [
        "<div class=related><h4>Related questions</h4><ul>{}</ul></div>",
        "<nav>Go to: <ul>{}</ul></nav>",
        '<aside style="display: none"><ul>{}</ul></aside>',
        "<div><a href=a>Before</a> <a href=b>After</a><ol>{}</ol></div>",
    ],
    ids=lambda menu: menu[:10],
)
def test_of_menus_the_items_with_a_formula_of_their_own_stay(menu: str) -> None:
    article = rf"<div><p>Let \(n\) be odd.</p>{ARTICLE}</div>"
    items = rf"{RELATED}<li><a href=x>Unlike the others</a></li><li><a href=y>All of \(n\)</a></li>"
    for body in (article + menu.format(items), menu.format(items) + article):
        found = extract(f"<html><body>{body}</body></html>")
        assert (found.num_equations, found.num_left_out) == (4, 1)
        shown = [r"Let \(n\) be odd.", *PROSE]
        own = [rf"What is \(x^{number}\) for odd numbers?" for number in range(3)]
        assert found.text.split("\n\n") == (shown + own if body.startswith(article) else own + shown)


@pytest.mark.parametrize(
    ("loose", "shown"),
    [
        (
            r"<nav><ul><li><a href=a>Home</a></li><li><a href=b>The \(k\)-means page</a></li></ul></nav>",
            [r"The \(k\)-means page"],
        ),
        (r"<div><li>An item of no list<li hidden>and the \(n\)-th</div>", ["An item of no list", r"and the \(n\)-th"]),
        ("<div><dir><li>An item</li></dir></div>", ["An item"]),
        (r"<nav><table><tr><td>\(a\)</td><td>\(b\)</td><td>c</td></tr></table></nav>", [r"\(a\)", r"\(b\)"]),
    ],
    ids=lambda value: str(value)[:20],
)
def test_items_without_their_list_and_cells_without_their_table_are_paragraphs(loose: str, shown: list[str]) -> None:
    """Behind an item, all would be indented as code is, and not be cleaned; cells would be glued."""
    assert extract(f"<html><body><div>{loose}{ARTICLE}</div></body></html>").text.split("\n\n") == [*shown, *PROSE]


@pytest.mark.parametrize(
    ("furniture", "shown"),
    [
        (r"<footer><p>Copyright 2025 by the society.</p><p>Powered by \(\LaTeX\)</p></footer>", r"Powered by \(\LaTeX\)"),
        (
            r"<div class=sidebar><div><h3>Advertisement</h3>Buy it</div><p>A teaser on \(x^2\)</p><p>Another</p></div>",
            r"A teaser on \(x^2\)",
        ),
        (r"<aside><p>Notes</p><p>As <b>said</b>, \(n\) is odd.</p></aside>", r"As said, \(n\) is odd."),
    ],
    ids=lambda value: str(value)[:20],
)
def test_of_furniture_the_blocks_with_a_formula_stay(furniture: str, shown: str) -> None:
    for body in (f"<div>{ARTICLE}</div>{furniture}", f"<div>{ARTICLE}{furniture}</div>"):
        found = extract(rf"<html><body><p>Let \(n\) be odd.</p>{body}</body></html>")
        assert found.text.split("\n\n") == [r"Let \(n\) be odd.", *PROSE, shown]
        assert (found.num_equations, found.num_left_out) == (2, 0)


def test_an_exercise_that_is_named_like_furniture_stays_whole() -> None:
    exercise = "".join(rf"<p>Bake {n} kinds of cookies.</p><p>There are \({n}!\) ways.</p>" for n in range(2, 6))
    title = r'<h3 id="search-k">Searching the \(k\)-th<a class=headerlink href=x>¶</a></h3>'
    text = extract(f"<div>{ARTICLE}{title}<div id=ww-counting-cookies>{exercise}</div></div>").text
    assert r"Searching the \(k\)-th" in text.split("\n\n")
    assert text.count("kinds of cookies") == 4


@pytest.mark.parametrize(
    "again",
    [
        "<math><msup><mi>x</mi><mn>2</mn></msup></math>",
        r"\[ x^{2} \]",
        "$$x^2$$",
        r"\begin{equation}{x}^2\end{equation}",
        "<script type='math/tex'>x ^ 2</script>",
    ],
)
def test_a_formula_is_the_same_however_it_is_written(again: str) -> None:
    menu = f"<nav><ul><li><a href=a>Home</a></li><li><a href=b>About {again}</a></li></ul></nav>"
    found = extract(rf"<html><body>{menu}<div><p>Let \(x^2\) be odd.</p>{ARTICLE}</div></body></html>")
    assert found.text.split("\n\n") == [r"Let \(x^2\) be odd.", *PROSE]
    assert (found.num_equations, found.num_left_out) == (1, 1)


def test_formulas_that_differ_are_not_the_same() -> None:
    different = (r"x\in f", r"x\inf", "x^{2n}", "x^2n", r"\{x\}", "x", "xy", r"x\,y")
    assert len({identity(rf"\({latex}\)") for latex in different}) == len(different)


def test_a_table_of_contents_goes_as_the_headings_hold_its_formulas() -> None:
    contents = r"<ul><li><a href=#1>The case \(p=2\)</a></li><li><a href=#2>The case <math alttext='q'></math></a></li></ul>"
    headings = r"<h2 id=1>The case \(p=2\)</h2>" + PROSE[0] + "<h2 id=2>The case <math alttext='q'></math></h2>" + PROSE[1]
    found = extract(f"<html><body><div><div>{contents}</div>{headings}<p>{PROSE[2]}</p></div></body></html>")
    assert found.text.split("\n\n") == [r"The case \(p=2\)", PROSE[0], "The case $q$", PROSE[1], PROSE[2]]
    assert (found.num_equations, found.num_left_out) == (2, 2)


def test_what_no_reader_sees_stays_unseen_with_its_formulas() -> None:
    found = extract(rf"<div>{ARTICLE}<template><p>\(t\)</p></template><select><option>\(o\)</option></select></div>")
    assert (found.num_equations, found.num_left_out) == (0, 2)


@pytest.mark.parametrize("control", [r"<button class=b>Is it \(a^2\)?</button>", r"<label><input>Is it \(a^2\)?</label>"])
def test_buttons_and_labels_with_formulas_are_the_answers_of_a_quiz(control: str) -> None:
    found = extract(f"<div>{ARTICLE}<p>{control}</p><button>Submit</button><label>Your name</label></div>")
    assert found.text.split("\n\n")[-1] == r"Is it \(a^2\)?"
    assert found.num_left_out == 0


def test_the_lead_and_the_title_before_the_content_stay_and_what_follows_it_goes() -> None:
    lead = "In which we show that every bounded sequence of the space has a subsequence of the kind that we want."
    teaser = "Another article, quite as long as a paragraph of this one, is announced here to those who read to the end."
    body = f"<article><h1>On sequences</h1><div><p>{lead}</p></div><div>{ARTICLE * 2}</div><div><p>{teaser}</p></div></article>"
    assert lines(body) == ["On sequences", lead, *PROSE, *PROSE]


def test_a_wrapper_with_a_telling_class_is_not_furniture() -> None:
    assert lines(f'<div class="page has-sidebar menu"><main class="social">{ARTICLE}</main></div>') == PROSE
    assert lines(f'<form class="search"><div class="popup">{ARTICLE}</div></form>') == PROSE


def test_a_page_of_short_lines_keeps_them_all() -> None:
    assert lines("<table><tr><td>one</td><td>two</td></tr></table><p>three</p>") == ["one\t\ttwo", "three"]
    assert extract("no markup at all").text == "no markup at all"


def test_content_in_short_blocks_is_preferred_to_a_longer_footer() -> None:
    footer = '<footer class="site-footer"><p>Copyright 2025 by the society of authors. All rights reserved.</p></footer>'
    chinese = "".join(
        f"<p>{sentence}</p>" for sentence in ("图书馆星期六关门比较早，不过星期天上午开放。", "比赛以4比零结束。") * 2
    )
    assert lines(f"<div><article>{chinese}</article></div>{footer}")[0].startswith("图书馆")
    items = "".join(f"<li>Event {number} in early summer</li>" for number in range(20))
    assert len(lines(f"<main><ul>{items}</ul></main>{footer}")) == 20


def test_headings_stay_with_what_they_announce() -> None:
    body = f"<h2>Proof</h2>{PROSE[0]}<h3>Empty</h3><h2>Remarks</h2><p>{PROSE[1]}</p><h2>Links</h2>"
    assert lines(f"<div>{body}</div>") == ["Proof", PROSE[0], "Remarks", PROSE[1]]


def test_lists_code_and_cells_keep_their_form() -> None:
    code = "for i in range(3):\n    print(i,  2)"
    body = f"<ol><li>first<ul><li>inner</li></ul></li><li>second</li></ol><pre>{code}</pre>"
    table = "<table><tr><th>n</th><th>n<sup>2</sup></th></tr><tr><td>2</td><td>4</td></tr></table>"
    text = extract(f"<div>{ARTICLE}{body}{table}</div>").text
    assert "1. first\n    • inner\n  2. second" in text
    assert code in text
    assert "n\t\tn^{2}\n2\t\t4" in text


@pytest.mark.parametrize(
    "listing",
    [
        '<table><tr><td class="gutter"><pre><b>1</b><br><b>2</b></pre></td><td><pre>{}</pre></td></tr></table>',
        '<table><tr><td class="linenos"><div><pre>1\n2</pre></div></td><td class="code"><pre>{}</pre></td></tr></table>',
        '<pre><span class="ln">1</span>{}</pre>',
        '<table><tr><td class="lntd"><pre><i class="lnt">1\n</i></pre></td><td class="lntd"><pre>{}</pre></td></tr></table>',
        '<pre class="gutter lineno">{}</pre>',
    ],
    ids=lambda listing: listing[:30],
)
def test_line_numbers_are_no_code(listing: str) -> None:
    code = "while x > 1:\n    x //= 2"
    text = extract(f"<div>{ARTICLE}{listing.format(code.replace('>', '&gt;'))}</div>").text
    assert [line.rstrip() for line in text.split("\n") if line.strip()] == [*PROSE, *code.split("\n")]


def test_readings_of_ruby_text_are_left_out() -> None:
    assert lines("<p><ruby>漢<rp>(</rp><rt>kan</rt><rp>)</rp></ruby>字</p>") == ["漢字"]
