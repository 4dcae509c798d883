"""Text documents with known truth for the benchmarks, made from sentences: real ones of the data folder, else random words.

Lengths are log-normal around 540 words, as on the web. Every sixth document is an edited copy of an earlier one: exact,
reformatted, words replaced or a block replaced; truth.parquet names the original. A document depends on the seed and its
number alone, so a corpus of 1,000,000 documents begins with the same ones as a corpus of 10,000.
"""

import gzip
import json
import random
import re
from collections.abc import Callable, Iterator
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
from datatrove.data import Document

from curation.sample.grammar import load_grammar
from curation.shards import ShardWriter

SHARDS = 4
COPY_EVERY = 6
WRITTEN_AT_ONCE = 10_000  # rows of the truth
WORD_SHARES = (0.003, 0.006, 0.01, 0.015, 0.02, 0.03, 0.04, 0.06, 0.1)
BLOCK_SHARES = (0.03, 0.05, 0.1, 0.15, 0.2, 0.3, 0.4, 0.5)
TEXTS = ("planetmath_tex", "hott_book_tex", "aata_pretext_xml", "openstax_prealgebra_cnxml", "cp_algorithms_md", "c4_demo")
TRUTH_SCHEMA = pa.schema([("id", pa.string()), ("copy_of", pa.string()), ("edit", pa.string())])
_SENTENCE_END = re.compile(r"(?<=[.!?])\s+")
_MARKUP = re.compile(r"<[^<>]{1,200}>")


class Corpus:
    """`data` is a folder with text/*.jsonl.gz, or None."""

    def __init__(self, seed: int, data: Path | None):
        self.seed = seed
        self.sentences = _real_sentences(data) if data else _random_sentences(seed)
        self.words = sorted({word for sentence in self.sentences[:20_000] for word in sentence.split() if word.isalpha()})

    def document(self, number: int) -> Document:
        copy_of, edit, text = self._text(number)
        rng = random.Random(f"{self.seed}/{number}/metadata")
        site = f"{rng.choice(self.words).lower()}{rng.randrange(10_000)}.{rng.choice(('com', 'org', 'edu', 'net'))}"
        metadata = {
            "url": f"https://www.{site}/{number}.html",
            "source": "corpus",
            "math_score": round(rng.random(), 4),
            "copy_of": None if copy_of is None else f"d{copy_of:08d}",
            "edit": edit,
        }
        return Document(text=text, id=f"d{number:08d}", metadata=metadata)

    def _text(self, number: int) -> tuple[int | None, str | None, str]:
        """Original's number, kind of edit, text."""
        rng = random.Random(f"{self.seed}/{number}")
        if number % COPY_EVERY != COPY_EVERY - 1:
            return None, None, self._original(rng)
        original = rng.randrange(number)
        original -= original % COPY_EVERY == COPY_EVERY - 1  # a copy is never copied
        name, edit = rng.choice(self._edits())
        return original, name, edit(self._text(original)[2], rng)

    def _original(self, rng: random.Random) -> str:
        wanted = min(60_000, max(150, rng.lognormvariate(7.75, 0.95)))
        paragraphs, paragraph, length = [], [], 0
        while length < wanted:
            sentence = rng.choice(self.sentences) if rng.random() > 0.06 else _mathematics(rng)
            paragraph.append(sentence)
            length += len(sentence) + 1
            if rng.random() < 0.22:
                paragraphs.append(" ".join(paragraph))
                paragraph = []
        return "\n\n".join([*paragraphs, " ".join(paragraph)]).strip()

    def _edits(self) -> list[tuple[str, Callable[[str, random.Random], str]]]:
        words = [(f"words_{share}", lambda text, rng, share=share: self._other_words(text, rng, share)) for share in WORD_SHARES]
        blocks = [
            (f"block_{share}", lambda text, rng, share=share: self._other_block(text, rng, share)) for share in BLOCK_SHARES
        ]
        return [*[("exact", lambda text, rng: text)] * 4, *[("format", _reformatted)] * 4, *words, *blocks]

    def _other_words(self, text: str, rng: random.Random, share: float) -> str:
        parts = re.split(r"(\s+)", text)
        return "".join(rng.choice(self.words) if i % 2 == 0 and rng.random() < share else part for i, part in enumerate(parts))

    def _other_block(self, text: str, rng: random.Random, share: float) -> str:
        cut = int(len(text) * share)
        other: list[str] = []
        while sum(map(len, other)) < cut:
            other.append(rng.choice(self.sentences))
        block = " ".join(other)
        return f"{block}\n{text[cut:]}" if rng.random() < 0.5 else f"{text[: len(text) - cut]}\n{block}"


def write_corpus(folder: Path, num_documents: int, *, seed: int, data: Path | None) -> Path:
    """folder/documents/NNNNN.parquet as stages leave them, and folder/truth.parquet, unless they are there."""
    if (folder / "truth.parquet").is_file():
        return folder
    corpus = Corpus(seed, data)
    writers = [ShardWriter(folder / "documents" / f"{shard:05d}.parquet") for shard in range(SHARDS)]
    temporary = folder / ".truth.parquet.tmp"
    with pq.ParquetWriter(temporary, TRUTH_SCHEMA) as truth:
        for first in range(0, num_documents, WRITTEN_AT_ONCE):
            rows = []
            for number in range(first, min(first + WRITTEN_AT_ONCE, num_documents)):
                doc = corpus.document(number)
                rows.append({"id": doc.id, "copy_of": doc.metadata.pop("copy_of"), "edit": doc.metadata.pop("edit")})
                writers[number % SHARDS].write(doc)
            truth.write_table(pa.Table.from_pylist(rows, schema=TRUTH_SCHEMA))
    for writer in writers:
        writer.close()
    temporary.replace(folder / "truth.parquet")
    return folder


def _reformatted(text: str, rng: random.Random) -> str:
    """Same words, other white space and quotation marks; sometimes capitals."""
    text = re.sub(r"\n+", "\n\n" if rng.random() < 0.5 else " ", text)
    return (text.upper() if rng.random() < 0.3 else text.replace(". ", ".  ")).replace("'", "’").replace('"', "“")


def _mathematics(rng: random.Random) -> str:
    a, b, c = (rng.randint(2, 999) for _ in range(3))
    return rng.choice(
        (
            f"Find all real $x$ such that ${a}x^2 - {b}x + {c} = 0$; the discriminant is ${b}^2 - 4\\cdot {a}\\cdot {c}$.",
            f"Compute $\\int_0^{{{a}}} \\frac{{{b}x}}{{x^2+{c}}}\\,dx = \\frac{{{b}}}{{2}}\\ln(1+\\frac{{{a * a}}}{{{c}}})$.",
            f"A train travels {a} miles in {b} hours; after {c} miles more it has gone {a + c} miles.",
            f"Then $\\sum_{{i=1}}^{{{a}}} i^{{{b}}} \\equiv {c % b} \\pmod{{{b}}}$ by Fermat's little theorem.",
        )
    )


def _real_sentences(data: Path) -> list[str]:
    files = [data / "text" / f"{name}.jsonl.gz" for name in TEXTS]
    texts = (json.loads(line)["text"] for file in files if file.is_file() for line in gzip.open(file, "rt", encoding="utf-8"))
    found = sorted({" ".join(part.split()) for text in texts for part in _SENTENCE_END.split(_MARKUP.sub(" ", text))})
    sentences = [sentence for sentence in found if 30 <= len(sentence) <= 600]
    if not sentences:
        raise ValueError(
            f"{data} has no texts; it must hold text/{TEXTS[0]}.jsonl.gz or one of its neighbours, or leave out --data"
        )
    return sentences


def _random_sentences(seed: int, count: int = 60_000) -> list[str]:
    """The words of the sample's phrases, a few of them frequent, most of them rare."""
    words = sorted({word for lines in load_grammar().lines.values() for line in lines for word in re.findall(r"[a-z]+", line)})
    rng = random.Random(f"{seed}/sentences")
    rng.shuffle(words)
    weights = [1 / rank for rank in range(1, len(words) + 1)]
    return [" ".join(rng.choices(words, weights, k=rng.randint(6, 30))).capitalize() + "." for _ in range(count)]


def read_truth(folder: Path) -> Iterator[dict[str, str | None]]:
    yield from pq.read_table(folder / "truth.parquet").to_pylist()
