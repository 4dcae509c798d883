"""The whole sample: crawl, benchmarks, records, classifier examples, tokenizer and base model under one folder."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import orjson

from curation.sample.base_model import make_base_model, make_tokenizer
from curation.sample.crawl import make_crawl
from curation.sample.grammar import load_grammar
from curation.sample.records import make_benchmarks, make_classifier_examples, make_records
from recipes.stage import write_atomically

MIN_PAGES = 100  # below it, not every kind of page and of planted truth would occur
MIN_PROBLEMS = 10
_MAX_TOKENIZER_CHARS = 20_000  # a text longer than this is the huge page


def make_sample(
    out: Path, *, seed: int, num_pages: int, num_problems: int, vocab_size: int, model: Mapping[str, Any]
) -> dict[str, Any]:
    """Writes the demo's raw data under `out`; all bytes are a function of the arguments. Returns the counts of truth.json.

    crawl/*.warc.gz with truth.jsonl and main_text.jsonl (what is recorded of a page: `crawl.make_crawl`); benchmarks/, qa/,
    short_cot/, long_cot/ and instruction/ with true answers, their dirt counted in truth.json; tries.jsonl (what each recorded
    try and each long trace is: modules tries and thinking); classifier/examples.jsonl; tokenizer/; base_model/ (keys of `model`
    as on a model page; head_dim may be left out). ValueError when a size is too small for everything to occur, or `model` does
    not fit.
    """
    if num_pages < MIN_PAGES:
        raise ValueError(f"num_pages={num_pages} is too few for every kind of page to occur; take at least {MIN_PAGES}")
    if num_problems < MIN_PROBLEMS:
        raise ValueError(f"num_problems={num_problems} is too few; take at least {MIN_PROBLEMS}")
    if model.get("vocab_size") != vocab_size:
        raise ValueError(f"vocab_size={vocab_size}, but model.vocab_size={model.get('vocab_size')}; give both the same value")
    grammar = load_grammar()
    items = make_benchmarks(out, seed=seed, grammar=grammar)
    counts: dict[str, Any] = {"crawl": make_crawl(out, seed=seed, num_pages=num_pages, items=items, grammar=grammar)}
    pages = [orjson.loads(line)["text"] for line in (out / "main_text.jsonl").read_bytes().splitlines()]
    counts["benchmark_items"] = len(items)
    counts["records"], counts["planted"], texts = make_records(out, seed=seed, num_problems=num_problems, grammar=grammar)
    counts["classifier"] = make_classifier_examples(out, seed=seed, num_pages=num_pages, taken=set(pages), grammar=grammar)
    texts += [page for page in pages if len(page) <= _MAX_TOKENIZER_CHARS]
    make_tokenizer(out / "tokenizer", texts, vocab_size=vocab_size, model_max_length=int(model["max_position_embeddings"]))
    counts["parameters"] = make_base_model(out / "base_model", out / "tokenizer", seed=seed, model=model)
    write_atomically(out / "truth.json", orjson.dumps(counts, option=orjson.OPT_INDENT_2 | orjson.OPT_SORT_KEYS) + b"\n")
    return counts
