"""A small page around what a test is about, and what is extracted of it."""

from curation.extract.page import extract

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
