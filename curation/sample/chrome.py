"""The page around the text: navigation, sidebars, banners, comments; and pages that are broken on purpose."""

import random
import re
from collections.abc import Iterable
from html import escape
from itertools import groupby

from curation.sample.grammar import Grammar
from curation.sample.markup import HEADS, MARKUPS, Formula, text_to_html
from curation.sample.pages import Block, Page

_NESTED = 2_000
_HUGE_BYTES = 2_000_000


def page_html(page: Page, markup: str, grammar: Grammar, rng: random.Random) -> str:
    """A whole HTML page in one of three layouts."""
    formula = MARKUPS[markup]
    heading = f"<h1>{text_to_html(page.title, formula)}</h1>"
    main = f"{heading}\n{_blocks(page.blocks, formula)}"
    layout = rng.choice((_blog_layout, _wiki_layout, _plain_layout))
    head = (
        f'<!DOCTYPE html>\n<html lang="{page.lang}">\n<head>\n<meta charset="utf-8">\n'
        f"<title>{escape(page.title)}</title>\n{HEADS.get(markup, '')}\n"
        f'<link rel="stylesheet" href="/style-{rng.randint(1, 99)}.css">\n</head>\n'
    )
    return f"{head}<body>\n{layout(main, page, grammar, rng)}\n</body>\n</html>\n"


def _blocks(blocks: Iterable[Block], formula: Formula) -> str:
    out = []
    for tag, group in groupby(blocks, key=lambda block: block.tag):
        if tag == "li":
            items = "\n".join(f"<li>{text_to_html(block.text, formula)}</li>" for block in group)
            out.append(f"<ul>\n{items}\n</ul>")
        elif tag == "pre":
            out.extend(f"<pre><code>{escape(block.text)}</code></pre>" for block in group)
        else:
            out.extend(f"<{tag}>{text_to_html(block.text, formula)}</{tag}>" for block in group)
    return "\n".join(out)


def _links(grammar: Grammar, rng: random.Random, count: int) -> str:
    words = (grammar.expand("link.word", rng) for _ in range(count))
    return "\n".join(f'<li><a href="/{rng.randint(1, 9999)}">{escape(word)}</a></li>' for word in words)


def _navigation(grammar: Grammar, rng: random.Random) -> str:
    return f'<nav class="menu"><ul>\n{_links(grammar, rng, rng.randint(4, 9))}\n</ul></nav>'


def _cookies(rng: random.Random) -> str:
    if rng.random() < 0.5:
        return ""
    return (
        '<div id="cookie-banner" class="cookie-consent" role="dialog"><p>We use cookies to improve your visit.</p>'
        '<button type="button">Accept all</button> <button type="button">Settings</button></div>\n'
    )


def _footer(grammar: Grammar, rng: random.Random) -> str:
    year, owner = rng.randint(2009, 2025), grammar.expand("surname", rng)
    line = f"<p>Copyright {year} {owner}. All rights reserved.</p>"
    return f'<footer class="site-footer">{line}<ul>\n{_links(grammar, rng, 3)}\n</ul></footer>'


def _comments(page: Page, rng: random.Random) -> str:
    if not page.after:
        return ""
    items = "\n".join(f'<div class="comment" id="c{rng.randint(1, 9999)}"><p>{escape(line)}</p></div>' for line in page.after)
    return f'<section id="comments" class="comments"><h3>Comments</h3>\n{items}\n</section>'


def _blog_layout(main: str, page: Page, grammar: Grammar, rng: random.Random) -> str:
    sidebar = f'<aside class="sidebar"><h3>Recent posts</h3><ul>\n{_links(grammar, rng, rng.randint(3, 8))}\n</ul></aside>'
    return (
        f'<header class="site-header"><a href="/">{grammar.expand("host.word", rng)}</a></header>\n{_navigation(grammar, rng)}\n'
        f'{_cookies(rng)}<div id="content"><article class="post">\n{main}\n</article>\n{_comments(page, rng)}</div>\n'
        f"{sidebar}\n{_footer(grammar, rng)}"
    )


def _wiki_layout(main: str, page: Page, grammar: Grammar, rng: random.Random) -> str:
    related = f'<div class="related navbox"><h3>See also</h3><ul>\n{_links(grammar, rng, rng.randint(3, 6))}\n</ul></div>'
    return (
        f'<div id="sidebar" class="sidebar">{_navigation(grammar, rng)}</div>\n<main role="main"><div class="content">\n'
        f"{main}\n</div></main>\n{_comments(page, rng)}\n{related}\n{_cookies(rng)}{_footer(grammar, rng)}"
    )


def _plain_layout(main: str, page: Page, grammar: Grammar, rng: random.Random) -> str:
    body = f"<main>\n<article>\n{main}\n</article>\n</main>"
    return f"{_navigation(grammar, rng)}\n{body}\n{_comments(page, rng)}\n{_footer(grammar, rng)}"


# ------------------------------------------------------------------------------------------------ broken pages


def unclosed(html: str) -> str:
    """The page without the closing tags of its paragraphs, lists and containers."""
    return re.sub(r"</(?:p|li|ul|div|article|main|body|html|nav|section)>", "", html)


def nested(html: str) -> str:
    """The page inside 2,000 containers."""
    return html.replace("<body>", "<body>" + "<div>" * _NESTED, 1).replace("</body>", "</div>" * _NESTED + "</body>", 1)


def huge_blocks(grammar: Grammar, rng: random.Random) -> tuple[Block, ...]:
    """Paragraphs of about two million characters in all."""
    blocks, size = [], 0
    while size < _HUGE_BYTES:
        text = grammar.expand("blog.line", rng)
        blocks.append(Block("p", text))
        size += len(text) + len("<p></p>\n")
    return tuple(blocks)
