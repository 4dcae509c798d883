"""What cleaning takes out of a document, and what it must leave: each kind kept once and changed once."""

import random
import time
from pathlib import Path

import pytest
from datatrove.data import Document

from curation.book import Book
from curation.clean import CleanDocuments, clean, protected_spans
from curation.extract.page import extract
from recipes.schema import CleanStage

BODY = "The sum of the angles is a straight angle.\n\nThis is what we had to show, and so the proof is done."


def cleaned(text: str, **params: object) -> tuple[str, dict[str, int]]:
    return clean(text, CleanStage.model_validate({"do": "clean", **params}))


# ---------------------------------------------------------------------------------------------------- lines


@pytest.mark.parametrize(
    ("head", "counts"),
    [
        ("Home\nAll Topics\nContact Us\n\n", {"boilerplate_lines": 2, "menu_lines": 1}),
        ("We use cookies on this site.\nAccept all cookies\n\n", {"boilerplate_lines": 2}),
        ("Skip to content\n", {"boilerplate_lines": 1}),
        ("« Previous\n\nLog in\n\n", {"boilerplate_lines": 2}),
    ],
)
def test_menus_and_boilerplate_are_taken_off_the_head(head, counts):
    assert cleaned(head + BODY) == (BODY, counts)


@pytest.mark.parametrize(
    ("tail", "counts"),
    [
        ("\n\nShare this\nTweet\nPinterest\nGeometry Basics", {"boilerplate_lines": 3, "menu_lines": 1}),
        ("\n© 2024 Example. All rights reserved", {"boilerplate_lines": 1}),
        ("\n\nPrivacy\n\nTerms\n", {"boilerplate_lines": 2}),
    ],
)
def test_menus_and_boilerplate_are_taken_off_the_tail(tail, counts):
    assert cleaned(BODY + tail) == (BODY, counts)


@pytest.mark.parametrize(
    "text",
    [
        BODY,
        f"Triangle Angles\n\n{BODY}",
        f"Geometry\nLesson Four\nAngles\n\n{BODY}",  # short lines without a word of navigation
        f"{BODY}\n\nWhich colour is it?\nred\ngreen\nblue\nblack",
        f"{BODY}\n\n(a) home\n(b) house\n(c) hut",
        f"{BODY}\nAll rights reserved\n{BODY}",  # the middle
        "Home\nHome $x$\nHome\n" + BODY.replace("\n", " "),
        f"    Home\n    Menu\n    Search\n{BODY}",  # indented: code
        f"{BODY}\n\n$$\nHome\nMenu\nSearch\n$$",
        f"{BODY}\n```\nprivacy policy\n```",
        "",
        "\n\n",
    ],
)
def test_content_is_left_as_it_is(text):
    expected = text.removeprefix("Home\n") if text.startswith("Home") else text
    assert cleaned(text)[0] == expected


def test_a_heading_right_behind_a_menu_stays():
    assert cleaned(f"Home\nSearch\nLog in\nTriangle Angles\n{BODY}") == (f"Triangle Angles\n{BODY}", {"boilerplate_lines": 3})


def test_a_line_that_follows_itself_goes_and_rows_of_tables_and_formulas_stay():
    assert cleaned("a line again\na line again\na line again \nanother line") == (
        "a line again\nanother line",
        {"repeated_lines": 2},
    )
    for text in ("T | F\nT | F\nF | T", "so $x$ it is\nso $x$ it is", "    x += 1\n    x += 1", "line one\n\nline one"):
        assert cleaned(text) == (text, {})
    assert cleaned("a line again\na line again", repeated_lines=False) == ("a line again\na line again", {})


@pytest.mark.parametrize(
    "row", ["1 0 0 1", "x^2 + y^2 + z^2", "sin x + cos y", "TT FF TT", "12.5 cm, 30 cm", "1200", "Heads\t\tTails"]
)
def test_rows_of_tables_numbers_and_formulas_may_follow_themselves(row):
    text = f"The rows are these:\n{row}\n{row}\n{row}\nand this is the end of them."
    assert cleaned(text) == (text, {})


def test_equal_rows_of_a_table_that_extract_wrote_stay():
    rows = ("<tr><td>white ball</td><td>3400</td></tr>", "<tr><td></td><td>black ball</td></tr>")
    table = "".join(row * 3 for row in rows)
    text = extract(
        f"<article><p>Six balls were drawn, and here they are.</p><table>{table}</table><p>So it was.</p></article>"
    ).text
    assert [text.count(row) for row in ("\nwhite ball\t\t3400", "\n\t\tblack ball")] == [3, 3]
    assert cleaned(text) == (text, {})


# ---------------------------------------------------------------------------------------------------- personal data


@pytest.mark.parametrize(
    ("kind", "text", "masked"),
    [
        ("email", "write to jane.doe+x@math.uni-bonn.de, please", "write to email@example.com, please"),
        ("email", "<a_b@x.co.uk>", "<email@example.com>"),
        ("phone", "call +49 (228) 73 1234 now", "call +1 202 555 0100 now"),
        ("phone", "call (212) 555-2368.", "call +1 202 555 0100."),
        ("phone", "Tel: 212-555-2368", "Tel: +1 202 555 0100"),
        ("ipv4", "from 93.184.216.34, twice", "from 192.0.2.1, twice"),
    ],
)
def test_personal_data_are_masked(kind, text, masked):
    assert cleaned(text) == (masked, {kind: 1})
    assert cleaned(masked) == (masked, {})
    assert cleaned(text, mask=[]) == (text, {})


@pytest.mark.parametrize(
    "text",
    [
        "x@y is no address, nor is @mention or a@b.c",
        "by Theorem 1.2.3.4 and section 12.3.4.5",
        "the hosts 192.168.100.200 and 127.0.0.100 and 10.20.30.100 are private",
        "version 999.184.216.340",
        "123-456-7890 = -8223 and 5 + 212-555-2368",
        "the digits 3.1415926535 8979323846, ISBN 978-0-306-40615-7, 2024-01-02",
        "12 +34 567 890 123",
        "$f(jane@math.example) = 93.184.216.34$ and \\(212-555-2368\\)",
        "`ping 93.184.216.34` and\n    mail jane.doe@math.example\nis code",
        "```\ncall +49 228 73 1234\n```",
        "1 202 333 444 555 666 777",
    ],
)
def test_numbers_formulas_and_code_are_not_masked(text):
    assert cleaned(text) == (text, {})


def test_a_megabyte_of_near_misses_is_searched_in_linear_time():
    started = time.process_time()
    for near in ("a.b", "a@", "1.2", "12-", "+12 ", "(123) ", "$a", "`a", "Home\n", "    a\n"):
        cleaned(near * (300_000 // len(near)))
    assert time.process_time() - started < 20


# ---------------------------------------------------------------------------------------------------- the step


def test_the_step_counts_by_kind_and_drops_what_is_empty_then(tmp_path: Path):
    book = Book(tmp_path)
    step = CleanDocuments(CleanStage(do="clean"), book)
    texts = [f"Home\n{BODY}", f"{BODY}\nmail a.b@c.example", BODY, "Log in\n\nSign up", ""]
    documents = [Document(text=text, id=str(number)) for number, text in enumerate(texts)]
    left = list(step.run(iter(documents)))
    book.close()
    assert [doc.id for doc in left] == ["0", "1", "2", "4"]
    assert [doc.text for doc in left] == [BODY, f"{BODY}\nmail email@example.com", BODY, ""]
    assert left[0].metadata == {"cleaned": {"boilerplate_lines": 1}}
    assert "cleaned" not in left[2].metadata
    assert book.counts["cleaned"] == {"documents": 3, "boilerplate_lines": 3, "email": 1}
    assert book.counts["details"] == {"clean": {"nothing_left": 1}}
    assert documents[3].text == "Log in\n\nSign up"


def test_formulas_and_code_never_change_in_random_documents():
    rng = random.Random(3)
    guarded = ["$a_1@b.example$", "`jane@x.example`", "\\[Home\nHome\\]", "```\nLog in\nLog in\n```", "\\(93.184.216.34\\)"]
    plain = ["Home", "Log in", "a line again", "jane@x.example", "93.184.216.34", "", "All rights reserved", "So it is proved."]
    for _ in range(500):
        parts = [rng.choice(guarded if rng.random() < 0.3 else plain) for _ in range(rng.randint(1, 14))]
        text = "\n".join(parts)
        inside = [text[begin:end] for begin, end in protected_spans(text)]
        after = cleaned(text)[0]
        assert [after[begin:end] for begin, end in protected_spans(after)] == inside, text
