"""A small dataset, curated for real in this process: pages of which one is too short, one a copy, one a leak, one blocked."""

import json
import random
from pathlib import Path

from tokenizers import Tokenizer, decoders, models, pre_tokenizers

from curation.pipeline import finish, num_ranks, run_rank
from recipes.stage import write_stage
from slurm.plan import plan

PAGE = "curate/web_files"
QUESTION = (
    "A gardener plants seventeen rows of tulips with nine bulbs in each row, and a storm uproots a third of all the bulbs "
    "before the first of May; how many bulbs are left standing in the garden after the storm"
)
WORDS = ("ring", "group", "field", "module", "kernel", "image", "basis", "vector", "trace", "norm", "series", "graph", "ideal")
SHORT, COPY, LEAK, BLOCKED, KEPT = "short", "the-copy", "leak", "blocked", "page-03"


def text_of(number: int) -> str:
    """120 words in an order of their own."""
    dice = random.Random(number)
    return " ".join(dice.choice(WORDS) + str(dice.randrange(13)) for _ in range(120))


def write_pages(folder: Path) -> None:
    pages = {f"page-{number:02d}": text_of(number) for number in range(12)}
    pages |= {SHORT: " ".join(text_of(40).split()[:30]), COPY: text_of(5), LEAK: f"{text_of(41)} {QUESTION}? {text_of(42)}"}
    urls = {name: f"https://Example.org/{name}/" for name in pages} | {BLOCKED: "https://example.org/porn/casino"}
    pages[BLOCKED] = text_of(50)
    with open(folder / "pages.jsonl", "w") as file:
        for name, text in pages.items():
            html = f"<html><head><title>{name}</title></head><body><article><p>{text}</p></article></body></html>"
            file.write(json.dumps({"id": f"<urn:uuid:{name}>", "url": urls[name], "html": html}) + "\n")
    (folder / "benchmark.jsonl").write_text(json.dumps({"id": "tulips", "question": QUESTION, "answer": "102"}) + "\n")


def write_tokenizer(folder: Path) -> None:
    """One token a byte."""
    folder.mkdir()
    letters = sorted(pre_tokenizers.ByteLevel.alphabet())
    tokenizer = Tokenizer(models.BPE({letter: number for number, letter in enumerate([*letters, "<|end|>"])}, []))
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    tokenizer.add_special_tokens(["<|end|>"])
    tokenizer.save(str(folder / "tokenizer.json"))
    (folder / "tokenizer_config.json").write_text(json.dumps({"eos_token": "<|end|>"}))


def overrides(folder: Path, *more: str) -> tuple[str, ...]:
    unneeded = ("language", "boilerplate", "words", "repetition")
    return (
        f"root={folder}/runs",
        f"tokenizer={folder}/tokenizer",
        "~sources.crawl",
        f"sources.pages.path={folder}/pages.jsonl",
        "~stages.classifier",
        "~stages.math",
        *(f"~stages.clean.filters.{name}" for name in unneeded),
        "stages.clean.filters.length.min_words=50",
        "~stages.decontaminate.benchmarks",
        f"+stages.decontaminate.benchmarks={{tulips: {folder}/benchmark.jsonl}}",
        *more,
    )


def curate(folder: Path, *more: str) -> None:
    """Every stage of the page but its report."""
    for stage in plan(PAGE, overrides(folder, *more)).stages:
        if stage.do != "report" and not stage.is_finished:
            write_stage(stage)
            for rank in range(num_ranks(stage)):
                run_rank(stage.folder, rank)
            finish(stage.folder)
