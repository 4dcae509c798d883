"""Pages as text: what each kind of page says, before any HTML.

A page is a title and blocks of text; mathematics stands in it as $…$ and $$…$$. Mathematics pages are drawn from the
grammar by topic, and their examples from problems with true answers.
"""

import random
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import Literal

from curation.sample.grammar import Grammar
from curation.sample.markup import equations
from curation.sample.problems import KINDS, Problem, make_problem

TOPICS = ("algebra", "number_theory", "calculus", "combinatorics", "geometry", "linear_algebra", "probability")
LANGUAGES = ("de", "fr", "es", "it", "ru", "zh")

_PROBLEMS_BY_TOPIC = {
    "algebra": ("linear", "quadratic", "system", "discount", "mean", "work"),
    "number_theory": ("gcd", "modpow", "divisors", "crt"),
    "calculus": ("derivative", "integral", "geometric", "series"),
    "combinatorics": ("choose", "letters", "series", "geometric"),
    "geometry": ("area", "ladder", "determinant"),
    "linear_algebra": ("determinant", "system", "area"),
    "probability": ("dice", "expectation", "choose"),
}

Tag = Literal["h2", "p", "li", "pre", "blockquote"]
Quality = Literal["good", "bad", "none"]


@dataclass(frozen=True, slots=True)
class Block:
    tag: Tag
    text: str


@dataclass(frozen=True, slots=True)
class Page:
    """The text of a page. `quality` is good or bad for mathematics, none for anything else."""

    kind: str
    title: str
    blocks: tuple[Block, ...]
    quality: Quality = "none"
    lang: str = "en"
    after: tuple[str, ...] = field(default=())  # chrome below the text: comments, related links

    @property
    def text(self) -> str:
        """Title and blocks, parted by empty lines: the main text that an extractor should find."""
        return "\n\n".join((self.title, *(block.text for block in self.blocks)))

    @property
    def equations(self) -> list[str]:
        return equations(self.text)

    def with_block(self, index: int, block: Block) -> "Page":
        return replace(self, blocks=(*self.blocks[:index], block, *self.blocks[index:]))


class _Writer:
    """Collects the blocks of one page of one topic."""

    def __init__(self, grammar: Grammar, rng: random.Random, topic: str = "algebra") -> None:
        self.grammar, self.rng, self.topic = grammar, rng, topic
        phrase, phrase2 = grammar.sample(f"{topic}.phrase", 2, rng)
        self.values: dict[str, object] = {"topicphrase": phrase, "topicphrase2": phrase2, "area": self.say(f"{topic}.area")}
        self.blocks: list[Block] = []

    def say(self, rule: str) -> str:
        return self.grammar.expand(rule, self.rng, getattr(self, "values", {}))

    def some(self, rule: str, low: int, high: int) -> list[str]:
        return self.grammar.sample(rule, self.rng.randint(low, high), self.rng, self.values)

    def add(self, text: str, tag: Tag = "p") -> None:
        self.blocks.append(Block(tag, text))

    def page(self, kind: str, title: str, quality: Quality, after: tuple[str, ...] = ()) -> Page:
        return Page(kind, title, tuple(self.blocks), quality, "en", after)

    def problem(self) -> Problem:
        kind = self.rng.choice(_PROBLEMS_BY_TOPIC[self.topic])
        return make_problem(kind, self.rng, self.grammar)

    @property
    def subject(self) -> str:
        phrase = str(self.values["topicphrase"])
        return phrase[0].upper() + phrase[1:]


def _mixed(writer: _Writer, lists: list[list[str]]) -> None:
    """Adds the sentences of all lists in an order of its own, two to four in a paragraph."""
    sentences = [sentence for sentences in lists for sentence in sentences]
    writer.rng.shuffle(sentences)
    while sentences:
        count = writer.rng.randint(2, 4)
        writer.add(" ".join(sentences[:count]))
        del sentences[:count]


def _lecture(writer: _Writer) -> Page:
    topic = writer.topic
    writer.add(writer.say("lecture.open"))
    writer.add("Definitions", "h2")
    _mixed(writer, [writer.some(f"{topic}.define", 3, 5), writer.some("lecture.link", 1, 2)])
    writer.add("Results", "h2")
    for number, statement in enumerate(writer.some(f"{topic}.theorem", 2, 3), 1):
        writer.add(f"Theorem {writer.rng.randint(1, 12)}.{number}. {statement}")
        _mixed(writer, [writer.some(f"{topic}.proof", 1, 2), writer.some("lecture.link", 1, 2)])
    writer.add("Remarks and examples", "h2")
    for remark in writer.some(f"{topic}.remark", 3, 4):
        writer.add(remark, "li")
    problem = writer.problem()
    writer.add(f"Example. {problem.question} {problem.solution}")
    writer.add(writer.say("lecture.close"))
    return writer.page("math_lecture", f"Lecture {writer.rng.randint(1, 30)}: {writer.subject}", "good")


def _theorem(writer: _Writer) -> Page:
    topic = writer.topic
    writer.add("Theorem. " + writer.say(f"{topic}.theorem"))
    _mixed(writer, [writer.some(f"{topic}.define", 2, 3)])
    writer.add(f"{writer.say('proofword')} " + " ".join(writer.some(f"{topic}.proof", 3, 5)))
    writer.add(" ".join(writer.some("lecture.link", 2, 3)))
    writer.add(writer.say("qed"))
    writer.add("Remarks", "h2")
    _mixed(writer, [writer.some(f"{topic}.remark", 3, 5), writer.some("lecture.link", 1, 2)])
    return writer.page("math_theorem", f"{writer.subject}: a proof by {writer.say('surname')}", "good")


def _example(writer: _Writer) -> Page:
    writer.add(writer.say("example.open"))
    for number in range(1, writer.rng.randint(4, 6)):
        problem = writer.problem()
        writer.add(f"Example {number}", "h2")
        writer.add(problem.question)
        writer.add(f"Solution. {problem.solution}")
        writer.add(f"{problem.check} {writer.say('example.comment')}")
    _mixed(writer, [writer.some(f"{writer.topic}.remark", 2, 3), writer.some("lecture.link", 2, 3)])
    return writer.page("math_example", f"Worked examples: {writer.subject}", "good")


def _forum(writer: _Writer) -> Page:
    problem = writer.problem()
    writer.add(f"{writer.say('forum.ask')} {problem.question}")
    writer.add(f"What I tried: {problem.slip}", "blockquote")
    writer.add(f"{writer.say('name')} {writer.say('surname')} answered", "h2")
    writer.add(f"{writer.say('forum.answer')} {problem.solution} {problem.check}")
    _mixed(writer, [writer.some(f"{writer.topic}.define", 1, 2), writer.some(f"{writer.topic}.proof", 1, 2)])
    second = writer.problem()
    writer.add(f"A similar one to practise: {second.question} {second.solution}")
    writer.add(" ".join(writer.some(f"{writer.topic}.remark", 2, 3) + writer.some("lecture.link", 1, 2)))
    words = problem.question.split()[:7]
    title = " ".join(words) if not any("$" in word for word in words) else f"Question on {writer.values['topicphrase']}"
    return writer.page("math_forum", title, "good", tuple(writer.some("forum.thanks", 2, 4)))


def _encyclopedia(writer: _Writer) -> Page:
    topic = writer.topic
    writer.add(writer.say("ency.open"))
    _mixed(writer, [writer.some(f"{topic}.define", 3, 4)])
    writer.add("History", "h2")
    writer.add(" ".join(writer.some("ency.history", 3, 5)))
    writer.add("Properties", "h2")
    _mixed(writer, [writer.some(f"{topic}.theorem", 2, 4), writer.some(f"{topic}.remark", 3, 4)])
    writer.add("Example", "h2")
    problem = writer.problem()
    writer.add(f"{problem.question} {problem.solution} {problem.check}")
    return writer.page("math_encyclopedia", writer.subject, "good")


def _between(writer: _Writer) -> Page:
    """Half mathematics, half something else, in any proportion: what a classifier is unsure of. Good from one half on."""
    share = writer.rng.uniform(0.1, 0.9)
    num_paragraphs = writer.rng.randint(9, 14)
    num_mathematics = round(share * num_paragraphs)
    rules = [f"{writer.topic}.{writer.rng.choice(('define', 'proof', 'remark'))}" for _ in range(num_mathematics)]
    rules += [f"{writer.rng.choice(('blog', 'news', 'thread'))}.line" for _ in range(num_paragraphs - num_mathematics)]
    writer.rng.shuffle(rules)
    for rule in rules:
        writer.add(" ".join(writer.some(rule, 1, 3)))
    quality: Quality = "good" if num_mathematics >= num_paragraphs / 2 else "bad"
    return writer.page("between", writer.say("blog.title") if share < 0.5 else writer.subject, quality)


def _formula_dump(writer: _Writer) -> Page:
    for _ in range(writer.rng.randint(25, 60)):
        kind = writer.rng.choice(("derivative", "integral", "geometric", "modpow"))
        values = KINDS[kind](writer.rng)
        writer.add(f"${values.get('poly') or values['a']}$ ${values['answer']}$", "li")
    return writer.page("bad_formula_dump", f"Formula list {writer.rng.randint(1, 400)}", "bad")


def _lines(kind: str, rule: str, low: int, high: int, quality: Quality = "none") -> Callable[[_Writer], Page]:
    """A kind of page that is `low` to `high` different lines of one rule."""

    def write(writer: _Writer) -> Page:
        sentences = writer.some(f"{rule}.line", low, high)
        while sentences:
            count = writer.rng.randint(1, 3)
            writer.add(" ".join(sentences[:count]))
            del sentences[:count]
        title = writer.say(f"{rule}.title") if f"{rule}.title" in writer.grammar.rules else kind.replace("_", " ")
        return writer.page(kind, title, quality)

    return write


def _language(writer: _Writer) -> Page:
    lang = writer.rng.choice(LANGUAGES)
    page = _lines("language", lang, 10, 16)(writer)
    return replace(page, lang=lang)


def _links(writer: _Writer) -> Page:
    for _ in range(writer.rng.randint(30, 80)):
        writer.add(writer.say("link.word"), "li")
    return writer.page("links", "Links", "none")


def _repetitive(writer: _Writer) -> Page:
    line = writer.say("shop.line")
    for _ in range(writer.rng.randint(20, 60)):
        writer.add(line)
    return writer.page("repetitive", writer.say("shop.title"), "none")


def _short(writer: _Writer) -> Page:
    writer.add(writer.say("blog.line"))
    return writer.page("short", "Note", "none")


def _code(writer: _Writer) -> Page:
    writer.add(writer.say("code.lead"))
    writer.add("\n".join(writer.say("code.line") for _ in range(writer.rng.randint(80, 200))), "pre")
    return writer.page("code", f"module_{writer.rng.randint(1, 900)}.py", "none")


KINDS_OF_PAGES: dict[str, tuple[float, Callable[[_Writer], Page]]] = {  # kind: (share of a crawl, writer)
    "math_lecture": (11, _lecture),
    "math_theorem": (8, _theorem),
    "math_example": (10, _example),
    "math_forum": (8, _forum),
    "math_encyclopedia": (8, _encyclopedia),
    "between": (9, _between),
    "bad_formula_dump": (3, _formula_dump),
    "bad_seo": (3, _lines("bad_seo", "seo", 6, 10, "bad")),
    "bad_calculator": (3, _lines("bad_calculator", "calculator", 5, 9, "bad")),
    "bad_boilerplate": (2, _lines("bad_boilerplate", "boilerplate", 5, 9, "bad")),
    "blog": (6, _lines("blog", "blog", 9, 16)),
    "shop": (5, _lines("shop", "shop", 6, 10)),
    "news": (6, _lines("news", "news", 7, 12)),
    "recipe": (5, _lines("recipe", "recipe", 7, 11)),
    "forum": (4, _lines("forum", "thread", 6, 10)),
    "links": (2, _links),
    "language": (9, _language),
    "blocked_url": (1.5, _lines("blocked_url", "gambling", 4, 6)),
    "repetitive": (1, _repetitive),
    "short": (1, _short),
    "lorem": (0.5, _lines("lorem", "lorem", 5, 8)),
    "javascript": (0.5, _lines("javascript", "javascript", 1, 3)),
    "code": (1, _code),
}


def write_page(kind: str, grammar: Grammar, rng: random.Random) -> Page:
    """A page of one of KINDS_OF_PAGES."""
    return KINDS_OF_PAGES[kind][1](_Writer(grammar, rng, rng.choice(TOPICS)))
