"""The crawl: which pages there are, what is planted in them, and the WARC files with their truth."""

import random
import uuid
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import orjson

from curation.sample import chrome, warc
from curation.sample.duplicates import TARGETS, near_duplicate
from curation.sample.grammar import Grammar
from curation.sample.leaks import EDITS, Item, plant
from curation.sample.markup import MARKUPS
from curation.sample.pages import KINDS_OF_PAGES, Block, Page, write_page
from recipes.stage import write_atomically

NUM_SHARDS = 8
_TRUNCATED_SHARD = 5
_BROKEN = {  # kind: share of a crawl
    "broken_charset": 0.005,
    "broken_unclosed": 0.005,
    "broken_nested": 0.002,
    "broken_binary": 0.003,
    "broken_empty": 0.003,
}
_LONG_KINDS = ("math_lecture", "math_example")  # long enough to be edited to any similarity
_TEX_MARKUPS = tuple(name for name in MARKUPS if name not in ("none", "mathml_bare"))


@dataclass(slots=True)
class _Planned:
    """A page to be stored and what is planted in it; `parent` is its place in the list of planned pages."""

    page: Page
    kind: str
    markup: str
    cluster: int | None = None
    similarity: float | None = None
    parent: int | None = None
    leak: dict[str, str] | None = None
    id: str = ""
    url: str = ""


def make_crawl(out: Path, *, seed: int, num_pages: int, items: Sequence[Item], grammar: Grammar) -> dict[str, Any]:
    """Writes crawl/, truth.jsonl and main_text.jsonl; returns counts.

    A line of truth.jsonl holds id, url, kind, lang, math_markup, tex_in_page (false: only presentation MathML), equations
    (LaTeX, in order), quality, cluster, parent (its id) and jaccard_to_parent (exact, see `duplicates`), leak (benchmark,
    item, edit, and the text as planted) and lost (cut off with its shard). main_text.jsonl holds the text that an
    extractor should find, with its formulas between dollar signs.
    """
    planned = _plan(seed, num_pages, items, grammar)
    order = list(range(len(planned)))
    random.Random(f"{seed}:order").shuffle(order)
    _place_last(planned, order)
    taken: set[str] = set()
    captures = {index: _capture(planned[index], f"{seed}:fetch:{index}", grammar, taken) for index in order}
    lost = {order[_bounds(len(order))[_TRUNCATED_SHARD][1] - 1]}
    others = _write_shards(out, seed, [captures[index] for index in order], grammar)
    truth = [_truth(planned, index, index in lost) for index in order]
    write_atomically(out / "truth.jsonl", b"".join(orjson.dumps(line) + b"\n" for line in truth))
    texts = ({"id": planned[index].id, "text": planned[index].page.text} for index in order if planned[index].page.blocks)
    write_atomically(out / "main_text.jsonl", b"".join(orjson.dumps(line) + b"\n" for line in texts))
    return {
        "pages": len(truth),
        "lost_pages": len(lost),
        "pages_by_kind": dict(sorted(Counter(line["kind"] for line in truth).items())),
        "pages_by_quality": dict(sorted(Counter(line["quality"] for line in truth).items())),
        "pages_by_markup": dict(sorted(Counter(line["math_markup"] for line in truth).items())),
        "clusters": len({line["cluster"] for line in truth} - {None}),
        "near_duplicates": sum(line["jaccard_to_parent"] is not None and line["jaccard_to_parent"] < 1 for line in truth),
        "exact_copies": sum(line["jaccard_to_parent"] == 1 for line in truth),
        "leaks_by_edit": dict(sorted(Counter(line["leak"]["edit"] for line in truth if line["leak"]).items())),
        "equations": sum(len(line["equations"]) for line in truth),
        "other_records": others,
    }


def apportion(total: int, shares: Mapping[str, float]) -> dict[str, int]:
    """`total` things over names by share: at least one each, the largest remainders first."""
    spare, whole = total - len(shares), sum(shares.values())
    exact = {name: spare * share / whole for name, share in shares.items()}
    counts = {name: 1 + int(value) for name, value in exact.items()}
    by_remainder = sorted(shares, key=lambda name: (int(exact[name]) - exact[name], name))
    for name in by_remainder[: total - sum(counts.values())]:
        counts[name] += 1
    return counts


def _plan(seed: int, num_pages: int, items: Sequence[Item], grammar: Grammar) -> list[_Planned]:
    rng = random.Random(f"{seed}:plan")
    children = [target for target in TARGETS for _ in range(max(1, num_pages // 150))]
    copies = max(2, num_pages // 75)
    broken = {kind: max(1, round(share * num_pages)) for kind, share in _BROKEN.items()}
    ordinary = num_pages - len(children) - copies - sum(broken.values()) - 1
    planned = []
    for kind, count in apportion(ordinary, {kind: share for kind, (share, _) in KINDS_OF_PAGES.items()}).items():
        for index in range(count):
            page = write_page(kind, grammar, random.Random(f"{seed}:page:{kind}:{index}"))
            planned.append(_Planned(page, kind, _markup(page, rng)))
    long_pages = [index for index, plan in enumerate(planned) if plan.kind in _LONG_KINDS]
    rng.shuffle(long_pages)
    _add_duplicates(planned, long_pages, children, copies, grammar, rng)
    other_pages = [index for index, plan in enumerate(planned) if plan.page.quality == "good" and plan.cluster is None]
    rng.shuffle(other_pages)
    num_leaks = min(max(6, num_pages // 75), len(other_pages), len(items))
    for number, (index, item) in enumerate(zip(other_pages, rng.sample(items, num_leaks), strict=False)):
        plan = planned[index]
        plan.page, plan.leak = plant(plan.page, item, EDITS[number % len(EDITS)], grammar, rng)
        plan.markup = rng.choice(_TEX_MARKUPS)
    _add_broken(planned, broken, grammar, seed, rng)
    return planned


def _markup(page: Page, rng: random.Random) -> str:
    if not page.equations:
        return "none"
    return "mathml_bare" if rng.random() < 0.08 else rng.choice(_TEX_MARKUPS)


def _add_duplicates(
    planned: list[_Planned], parents: list[int], targets: list[float], copies: int, grammar: Grammar, rng: random.Random
) -> None:
    """Adds edited and exact copies of pages from `parents`, which are taken off that list; one cluster a parent."""
    for cluster, target in enumerate([*targets, *[1.0] * copies]):
        index = parents.pop()
        parent = planned[index]
        parent.cluster, parent.markup = cluster, rng.choice(_TEX_MARKUPS)
        page, similarity = parent.page, 1.0
        if target < 1:

            def fresh(kind: str = parent.kind) -> Page:
                return write_page(kind, grammar, random.Random(rng.getrandbits(64)))

            page, similarity = near_duplicate(parent.page, target, fresh, grammar, rng)
        markup = parent.markup if target == 1 else rng.choice(_TEX_MARKUPS)
        planned.append(_Planned(page, parent.kind, markup, cluster, similarity, index))


def _add_broken(planned: list[_Planned], broken: Mapping[str, int], grammar: Grammar, seed: int, rng: random.Random) -> None:
    accents = Block("p", "See the notes of Poincaré, Möbius and Gödel's café circle; a naïve résumé says déjà vu.")
    for kind, count in broken.items():
        for index in range(count):
            page = write_page("math_lecture", grammar, random.Random(f"{seed}:{kind}:{index}"))
            markup = "mathjax3" if kind == "broken_charset" else rng.choice(_TEX_MARKUPS)
            if kind == "broken_charset":
                page = page.with_block(2, accents)
            if kind in ("broken_binary", "broken_empty"):
                page, markup = Page(kind, "", ()), "none"
            planned.append(_Planned(page, kind, markup))
    blocks = chrome.huge_blocks(grammar, random.Random(f"{seed}:huge"))
    planned.append(_Planned(Page("broken_huge", "All entries on one page", blocks), "broken_huge", "none"))


def _bounds(total: int) -> list[tuple[int, int]]:
    return [(total * shard // NUM_SHARDS, total * (shard + 1) // NUM_SHARDS) for shard in range(NUM_SHARDS)]


def _place_last(planned: list[_Planned], order: list[int]) -> None:
    """Puts an ordinary mathematics page where the truncated shard ends, so that no planted truth is lost."""
    last = _bounds(len(order))[_TRUNCATED_SHARD][1] - 1
    plain = next(
        place
        for place, index in enumerate(order)
        if planned[index].kind.startswith("math_") and planned[index].cluster is None and planned[index].leak is None
    )
    order[last], order[plain] = order[plain], order[last]


def _capture(plan: _Planned, seed: str, grammar: Grammar, taken: set[str]) -> warc.Capture:
    """Renders the page and gives it its id, address and date."""
    rng = random.Random(seed)
    plan.id = _uuid(rng)
    rule = {"math_": "url.math", "block": "url.blocked"}.get(plan.kind[:5], "url.page")
    plan.url = grammar.expand(rule, rng).lower()
    while plan.url in taken:
        plan.url = grammar.expand(rule, rng).lower()
    taken.add(plan.url)
    body, content_type = _body(plan, grammar, rng)
    return warc.Capture(plan.id, plan.url, _date(rng), body, content_type)


def _body(plan: _Planned, grammar: Grammar, rng: random.Random) -> tuple[bytes, str]:
    declared = "text/html; charset=utf-8"
    if plan.kind == "broken_empty":
        return b"", declared
    if plan.kind == "broken_binary":
        return rng.randbytes(20_000), declared
    html = chrome.page_html(plan.page, plan.markup, grammar, rng)
    if plan.kind == "broken_unclosed":
        html = chrome.unclosed(html)
    elif plan.kind == "broken_nested":
        html = chrome.nested(html)
    elif plan.kind == "broken_charset":
        return html.encode("latin-1", "xmlcharrefreplace"), declared
    elif plan.page.lang in ("de", "fr", "es", "it") and rng.random() < 0.3:
        html = html.replace('<meta charset="utf-8">', '<meta charset="iso-8859-1">')
        return html.encode("latin-1", "xmlcharrefreplace"), "text/html; charset=iso-8859-1"
    return html.encode(), declared if rng.random() < 0.8 else "text/html"


def _write_shards(out: Path, seed: int, captures: list[warc.Capture], grammar: Grammar) -> dict[str, int]:
    """Writes the shards, one of them cut in its last member and one empty; returns how many other records stand in them."""
    others: Counter[str] = Counter()
    for shard, (start, end) in enumerate(_bounds(len(captures))):
        rng = random.Random(f"{seed}:shard:{shard}")
        name = f"crawl-{shard:05d}.warc.gz"
        members = [warc.warcinfo(name, "2025-01-01T00:00:00Z", _uuid(rng))]
        others["warcinfo"] += 1
        for place in range(start, end):
            if place < end - 1:  # the last record of a shard is a page
                for kind, member in _neighbours(captures[place], grammar, rng):
                    others[kind] += 1
                    members.append(member)
            members.append(warc.response(captures[place]))
        if shard == _TRUNCATED_SHARD:
            members[-1] = members[-1][: len(members[-1]) // 2]
        write_atomically(out / "crawl" / name, b"".join(members))
    write_atomically(out / "crawl" / f"crawl-{NUM_SHARDS:05d}.warc.gz", b"")
    return dict(sorted(others.items()))


def _neighbours(capture: warc.Capture, grammar: Grammar, rng: random.Random) -> Iterator[tuple[str, bytes]]:
    """Now and then what else stands in a crawl: the request, its metadata, other kinds of files, pages that are gone."""
    draw = rng.random()
    if draw < 0.08:
        yield "request", warc.request(capture, _uuid(rng))
        yield "metadata", warc.metadata(capture, _uuid(rng))
    elif draw < 0.12:
        extra = replace(capture, id=_uuid(rng), url=grammar.expand("url.page", rng).lower() + "/missing")
        gone = replace(extra, status="404 Not Found", body=b"<html><body><h1>Not Found</h1><p>Nothing here.</p></body></html>")
        yield "not_found", warc.response(gone)
    elif draw < 0.15:
        start, content_type = rng.choice(((b"%PDF-1.4\n", "application/pdf"), (b"\x89PNG\r\n\x1a\n", "image/png")))
        extra = replace(capture, id=_uuid(rng), url=grammar.expand("url.page", rng).lower() + "/file")
        file = replace(extra, body=start + rng.randbytes(600), content_type=content_type)
        yield content_type.replace("/", "_"), warc.response(file)


def _truth(planned: list[_Planned], index: int, is_lost: bool) -> dict[str, Any]:
    plan = planned[index]
    is_bare = plan.markup == "mathml_bare"
    return {
        "id": plan.id,
        "url": plan.url,
        "kind": plan.kind,
        "lang": plan.page.lang,
        "math_markup": "mathml" if is_bare else plan.markup,
        "tex_in_page": bool(plan.page.equations) and not is_bare,
        "equations": plan.page.equations,
        "quality": plan.page.quality,
        "cluster": plan.cluster,
        "parent": None if plan.parent is None else planned[plan.parent].id,
        "jaccard_to_parent": plan.similarity,
        "leak": plan.leak,
        "lost": is_lost,
    }


def _uuid(rng: random.Random) -> str:
    return f"<urn:uuid:{uuid.UUID(int=rng.getrandbits(128), version=4)}>"


def _date(rng: random.Random) -> str:
    day = f"{rng.randint(2013, 2025)}-{rng.randint(1, 12):02d}-{rng.randint(1, 28):02d}"
    return f"{day}T{rng.randint(0, 23):02d}:{rng.randint(0, 59):02d}:{rng.randint(0, 59):02d}Z"
