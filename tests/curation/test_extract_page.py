"""What becomes of a page around its formulas: notation, lists, code, tables, hostile markup, charsets; and the step."""

import re
import time
from collections import Counter

import pytest
from datatrove.data import Document
from web_page import PROSE, content, page

from curation.extract import decode
from curation.extract.asciimath import to_latex as from_asciimath
from curation.extract.mathml import to_latex
from curation.extract.nesting import MAX_DEPTH, MAX_LISTS
from curation.extract.page import Extracted, extract
from curation.extract.rewrite import MAX_FORMULA_CHARS
from curation.extract.step import ExtractHtml
from curation.extract.tables import characters, lines, rows
from curation.extract.tree import parse

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
        "".join(rf"<li><a>\({number}^n\)</a>" for number in range(30_000)),
        '<i class="ln">1' * 50_000,
        '<noscript><img class="tex" alt="x^2"></noscript>' * 20_000,
        '<math alttext="x"></math>' + '<span class="katex-html">' * 20_000 + "x",
        "<label>$x$" * 20_000,
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
        # minutes for what looks twice at the same characters, milliseconds for what does not
        "<img class=latex " + "a" * 190_000 + ">",
        '<math alttext="x" ' + "QkE4" * 47_000 + '"><mi>x</mi></math>',
        "<sub data-x " + "a" * 190_000 + ">1</sub>",
        "<span class='MathJax'>x</span>" + "<script " * 200_000,
        ("<script type=math/tex>{\\displaystyle" + " " * 190_000 + "x}y</script>") * 5,
        ("<script type=math/tex>a<!x" + " " * 190_000 + "x</script>") * 5,
        ("<script type=math/tex>" + " " * 190_000 + "<!x</script>") * 5,
        ("<tex-math>\\end{document}" + "\\begin{document}" * 11_000 + "</tex-math>") * 20,
        ("<script type=math/mml>" + "<math " * 33_000 + "</script>") * 5,
        ("<math>" + "<annotation " * 16_000 + "</math>") * 10,
        "<table>" + ("<tr class=ltx_eqn_row><td>" + "<span ltx_tag>" * 13_000 + "</tr>") * 20,
    ],
    ids=lambda html: html[:28],
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
        max_cpu_seconds=30,
    )
    docs = [
        Document(text=page(r"<p>\(x\) and \(y\), <math alttext='z'></math></p><ul><li><a href=x>\(x\) more</a></ul>"), id="good"),
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
        if html:
            raise RecursionError(html)
        return extract(html)

    monkeypatch.setattr("curation.extract.step.extract", fail)
    assert list(step.run(iter([Document(text="<p>x</p>", id="broken")]))) == []
    assert dropped[-1] == ("broken", "extract_RecursionError")


@pytest.mark.parametrize(
    ("max_html_chars", "max_cpu_seconds", "message"),
    [
        (0, 30, "min_chars is 5 and max_html_chars 0: give a min_chars of 0 or more"),
        (9, 0, "max_cpu_seconds is 0, in which no page can be read: give more than 0"),
    ],
)
def test_the_step_refuses_limits_that_keep_nothing(max_html_chars: int, max_cpu_seconds: float, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        ExtractHtml(
            drop=lambda doc, reason: None,
            count=lambda *keys, n=1: None,
            min_chars=5,
            max_html_chars=max_html_chars,
            max_cpu_seconds=max_cpu_seconds,
        )
