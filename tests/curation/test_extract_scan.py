"""Where the tags, elements and delimiters of a page are."""

import pytest

from curation.extract.nesting import END, FLAGS, OPENS, OWNER, START, STOP
from curation.extract.scan import scan
from curation.extract.vocabulary import CONTENT, FURNITURE, HIDDEN


def elements(html: str) -> list[str]:
    """The source of every element, in order of their opening tags."""
    return [html[tag[START] : tag[STOP]] for tag in scan(html).tags if tag[OWNER] == OPENS]


@pytest.mark.parametrize(
    ("html", "found"),
    [
        ("<p>a<p>b", ["<p>a", "<p>b"]),
        ("<ul><li>a<ul><li>b</ul></ul>", ["<ul><li>a<ul><li>b</ul></ul>", "<li>a<ul><li>b</ul>", "<ul><li>b</ul>", "<li>b"]),
        ("<table><td>a<td>b<tr><td>c</table>", ["<table><td>a<td>b<tr><td>c</table>", "<td>a", "<td>b", "<tr><td>c", "<td>c"]),
        ("<p><b>a<div>b</div>", ["<p><b>a", "<b>a", "<div>b</div>"]),
        ("<div><td>a</div>b</td></div>", ["<div><td>a</div>b</td></div>", "<td>a</div>b</td>"]),
        ("<script>a</div>'<p>'</script><p>b</p>", ["<script>a</div>'<p>'</script>", "<p>b</p>"]),
        ("<!-- <p> --><p>a</p>", ["<!-- <p> -->", "<p>a</p>"]),
        ("<!--><p>a</p>", ["<!-->", "<p>a</p>"]),
        ("a<b$ and c>d <P title='>'>e</P>", ["<P title='>'>e</P>"]),
        ("<m:math><m:mi>x</m:mi></m:math>", ["<m:math><m:mi>x</m:mi></m:math>"]),
    ],
    ids=lambda value: str(value)[:20],
)
def test_elements_end_where_browsers_end_them(html: str, found: list[str]) -> None:
    assert elements(html) == found


def test_attributes_mark_an_element() -> None:
    def marks(tag: str) -> int:
        return int(scan(tag).tags[0, FLAGS]) & (FURNITURE | CONTENT | HIDDEN)

    assert marks('<div class="main sidebar-left">') == FURNITURE
    assert marks("<DIV ID=Sidebar>") == FURNITURE
    assert marks('<div class="article__body">') == CONTENT
    assert marks('<div class="article body">') == 0
    assert marks("<div style='color: red; display :none'>") == HIDDEN
    assert marks("<div hidden>") == HIDDEN
    assert marks('<div title="sidebar hidden" data-x="display:none">') == 0


def test_delimiters_are_found_in_text_alone() -> None:
    html = r"\(a\) <p title='$'>$b$ \\( \$ $$c$$ \begin{align*} \foo</p><code>$d$</code><script>$e$</script><!-- $f$ -->"
    found = [html[start:end] for start, end in scan(html).delimiters]
    assert found == ["\\(", "\\)", "$", "$", "\\\\", "\\$", "$$", "$$", "\\begin{align*}"]


def test_positions_are_those_of_characters() -> None:
    html = "<p>\U0001d53d ∑é</p>"
    tag = scan(html).tags[0]
    assert html[tag[END] : tag[STOP]] == "\U0001d53d ∑é</p>"
