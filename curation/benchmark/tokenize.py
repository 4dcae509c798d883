"""Tokenizing: ours against datatrove's MegatronDocumentTokenizer, documents in memory to files on disk, on the same tokenizer."""

import json
import shutil
from collections.abc import Iterator
from pathlib import Path

from datatrove.data import Document
from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers

from curation.benchmark.corpus import Corpus
from curation.benchmark.measure import Comparison, Way, Work, compare
from curation.benchmark.size import Size
from curation.tokens.llama3_tokenizer import END_OF_TEXT, PATTERN, tokenizer_from_tiktoken
from curation.tokens.tokenizer import MAX_UINT16_VOCABULARY
from recipes.fingerprint import file_hash

SEED = 1
VOCABULARY = 32_000


def comparisons(size: Size) -> Iterator[Comparison]:
    documents = size.or_else(8_000)
    tokenizer = find_tokenizer(size.scratch / "tokenizer", size.data)
    arguments = (documents, size.data, tokenizer, size.scratch)
    yield compare(
        "tokenize",
        against="datatrove MegatronDocumentTokenizer",
        documents=documents,
        ours=Way(ours, arguments),
        stock=Way(stock, arguments),
        repeats=size.repeats,
        judge=lambda mine, other: {"tokens": _num_tokens(mine, tokenizer), "same_tokens": _equal(mine, other)},
    )


def ours(documents: int, data: Path | None, tokenizer: Path, scratch: Path) -> Work:
    from curation.tokens.tokenizer import open_tokenizer
    from curation.tokens.write import WriteTokens
    from recipes.schema import TokenizeStage

    params = TokenizeStage(do="tokenize")
    open_tokenizer(tokenizer, params, ())  # as the step asks for it: it is remembered

    out = scratch / "ours"
    shutil.rmtree(out, ignore_errors=True)
    docs = _documents(documents, data)

    def work() -> Path:
        WriteTokens(tokenizer, out, params, lambda *keys, n=1: None).run(iter(docs))
        return out / "shards" / "00000.train.bin"

    return work


def stock(documents: int, data: Path | None, tokenizer: Path, scratch: Path) -> Work:
    from datatrove.pipeline.tokens import MegatronDocumentTokenizer

    out = scratch / "stock"
    shutil.rmtree(out, ignore_errors=True)
    file = str(tokenizer / "tokenizer.json")
    step = MegatronDocumentTokenizer(
        output_folder=str(out), tokenizer_name_or_path=file, eos_token=END_OF_TEXT, save_filename="stock", batch_size=1_000
    )
    assert step.tokenizer is not None  # loaded here
    docs = _documents(documents, data)

    def work() -> Path:
        step.run(iter(docs))
        return next(out.glob("*.bin"))

    return work


def _documents(number: int, data: Path | None) -> list[Document]:
    corpus = Corpus(SEED, data)
    return [corpus.document(i) for i in range(number)]


def _num_tokens(tokens: Path, tokenizer: Path) -> int:
    large = Tokenizer.from_file(str(tokenizer / "tokenizer.json")).get_vocab_size() >= MAX_UINT16_VOCABULARY
    return tokens.stat().st_size // (4 if large else 2)


def _equal(one: Path, other: Path) -> bool:
    return file_hash(one) == file_hash(other)


def find_tokenizer(folder: Path, data: Path | None) -> Path:
    """Llama 3's where the data folder has it, else a byte-level BPE trained on the corpus."""
    ranks = data / "tokenizer" / "llama3_tokenizer.model" if data else None
    folder = folder / ("llama3" if ranks is not None and ranks.is_file() else "trained")
    if (folder / "tokenizer_config.json").is_file():
        return folder
    folder.mkdir(parents=True, exist_ok=True)
    tokenizer = tokenizer_from_tiktoken(ranks) if ranks is not None and ranks.is_file() else _trained(data)
    tokenizer.save(str(folder / "tokenizer.json"))
    (folder / "tokenizer_config.json").write_text(json.dumps({"eos_token": END_OF_TEXT}))
    return folder


def _trained(data: Path | None) -> Tokenizer:
    from tokenizers import Regex

    tokenizer = Tokenizer(models.BPE())
    byte_level = pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence([pre_tokenizers.Split(Regex(PATTERN), behavior="isolated"), byte_level])
    tokenizer.decoder = decoders.ByteLevel()
    alphabet = pre_tokenizers.ByteLevel.alphabet()
    trainer = trainers.BpeTrainer(
        vocab_size=VOCABULARY, special_tokens=[END_OF_TEXT], initial_alphabet=alphabet, show_progress=False
    )
    tokenizer.train_from_iterator((doc.text for doc in _documents(500, data)), trainer)
    return tokenizer
