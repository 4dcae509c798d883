"""Tokens on disk: what Megatron reads back is what the documents said, and docs.parquet knows where."""

import gzip
import hashlib
import importlib.util
import json
import shutil
import struct
import subprocess
import sys
from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as pq
import pytest
from datatrove.data import Document
from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers

from curation.tokens.llama3_tokenizer import PATTERN, SPECIAL_TOKENS
from curation.tokens.merge_kernel import LONGEST_WORD_BYTES
from curation.tokens.tokenizer import DocumentTokenizer
from curation.tokens.write import WriteTokens, merge_tokens, split_of
from recipes.fingerprint import tokenizer_hash
from recipes.schema import TokenizeStage

EOS = "<|end_of_text|>"
TEXTS = [
    "Let $x^2 + 3x = 10$. Then $x = 2$ or $x = -5$.",
    "The derivative of $\\sin x$ is $\\cos x$.\n\nProof. See above.",
    f"A page that says {EOS} and <|begin_of_text|> in the middle.",
    "Ünïcödé: α ≠ β, 求 x 的值, 🙂\u200d🙂, tabs\tand\r\nline ends  ",
    "x",
    "y " * 500,
]
READ_WITH_MEGATRON = """
import json, sys
from megatron.core.datasets.indexed_dataset import IndexedDataset
for data in map(IndexedDataset, sys.argv[1:]):
    print(json.dumps({"dtype": data.index.dtype.__name__, "documents": [data[i].tolist() for i in range(len(data))],
                      "document_indices": data.document_indices.tolist(), "lengths": data.sequence_lengths.tolist()}))
"""


@pytest.fixture(scope="module")
def tokenizer_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("tokenizer")
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    alphabet = pre_tokenizers.ByteLevel.alphabet()
    trainer = trainers.BpeTrainer(
        vocab_size=400, special_tokens=["<|begin_of_text|>", EOS], initial_alphabet=alphabet, show_progress=False
    )
    tokenizer.train_from_iterator(TEXTS, trainer)
    tokenizer.save(str(folder / "tokenizer.json"))
    (folder / "tokenizer_config.json").write_text(json.dumps({"eos_token": EOS}))
    return folder


def documents(num: int) -> list[Document]:
    return [
        Document(text=f"{i}. {TEXTS[i % len(TEXTS)]}", id=f"doc{i}", metadata={"url": f"http://x/{i}", "source": "web"})
        for i in range(num)
    ]


def params(**given: Any) -> TokenizeStage:
    return TokenizeStage.model_validate({"do": "tokenize", **given})


def write(folder: Path, tokenizer: Path, shards: list[list[Document]], validation_share: float = 0.3) -> Counter[str]:
    counts: Counter[str] = Counter()

    def count(*keys: str, n: int = 1) -> None:
        counts["/".join(keys)] += n

    for rank, docs in enumerate(shards):
        WriteTokens(tokenizer, folder, params(validation_share=validation_share), count).run(iter(docs), rank, len(shards))
    return counts


def read_with_megatron(*prefixes: Path) -> list[dict[str, Any]]:
    """In a process of its own: importing Megatron takes seconds and warns."""
    if importlib.util.find_spec("megatron.core") is None:
        pytest.skip("megatron-core is not installed")
    command = [sys.executable, "-W", "ignore", "-c", READ_WITH_MEGATRON, *map(str, prefixes)]
    answer = subprocess.run(command, capture_output=True, text=True, check=True)
    return [json.loads(line) for line in answer.stdout.splitlines()[-len(prefixes) :]]


def test_megatron_reads_every_document_back_and_docs_parquet_names_it(tmp_path: Path, tokenizer_folder: Path) -> None:
    docs = documents(40)
    counted = write(tmp_path, tokenizer_folder, [docs[:15], [], docs[15:]])
    answer = merge_tokens(tmp_path / "shards", tmp_path / "out", 3)
    tokenizer = Tokenizer.from_file(str(tokenizer_folder / "tokenizer.json"))
    eos = tokenizer.token_to_id(EOS)
    rows = pq.read_table(tmp_path / "out" / "docs.parquet").to_pylist()
    texts = {doc.id: doc.text for doc in docs}
    assert sorted(row["id"] for row in rows) == sorted(texts)
    read = read_with_megatron(*(tmp_path / "out" / split for split in ("train", "validation")))
    for split, data in zip(("train", "validation"), read, strict=True):
        mine = [row for row in rows if row["split"] == split]
        flat = np.fromfile(tmp_path / "out" / f"{split}.bin", np.uint16)
        assert data["dtype"] == "uint16"
        assert data["document_indices"] == list(range(len(mine) + 1))
        assert data["lengths"] == [row["num_tokens"] for row in mine]
        assert [row["document"] for row in mine] == list(range(len(mine)))
        for row, ids in zip(mine, data["documents"], strict=True):
            assert ids.count(eos) == 1
            assert ids[-1] == eos
            assert tokenizer.decode(ids[:-1], skip_special_tokens=False) == texts[row["id"]]
            assert flat[row["first_token"] : row["first_token"] + row["num_tokens"]].tolist() == ids
            assert split_of(row["id"], 0.3) == split
            assert (row["url"], row["source"]) == (f"http://x/{row['id'][3:]}", "web")
        counts = answer["counts"]
        assert counts["documents"][split] == counted[f"documents/{split}"] == len(mine) > 0
        assert counts["tokens"][split] == counted[f"tokens/{split}"] == len(flat)
    assert answer["counts"]["longest_document"] == max(row["num_tokens"] for row in rows)
    assert answer["counts"]["duplicate_ids"] == 0
    assert (answer["eos_id"], answer["dtype"]) == (eos, "uint16")
    assert answer["tokenizer_sha256"] == tokenizer_hash(tokenizer_folder)


def test_the_same_documents_give_the_same_bytes(tmp_path: Path, tokenizer_folder: Path) -> None:
    hashes = []
    for name in ("one", "other"):
        write(tmp_path / name, tokenizer_folder, [documents(10), documents(20)[10:]])
        merge_tokens(tmp_path / name / "shards", tmp_path / name / "out", 2)
        files = sorted(path for path in (tmp_path / name).rglob("*") if path.is_file())
        hashes.append([(path.relative_to(tmp_path / name), hashlib.sha256(path.read_bytes()).hexdigest()) for path in files])
    assert hashes[0] == hashes[1]
    assert not [path for path, _ in hashes[0] if path.name.endswith(".tmp")]


def test_the_held_out_documents_do_not_depend_on_the_others_and_grow_with_the_share() -> None:
    held_out = [{i for i in range(2000) if split_of(str(i), share) == "validation"} for share in (0.0, 0.1, 0.2, 1.0)]
    assert [len(ids) for ids in held_out[::3]] == [0, 2000]
    assert held_out[1] < held_out[2]
    assert len(held_out[1]) == pytest.approx(200, abs=50)


def test_without_validation_there_are_no_validation_files(tmp_path: Path, tokenizer_folder: Path) -> None:
    write(tmp_path, tokenizer_folder, [documents(4)], validation_share=0.0)
    merge_tokens(tmp_path / "shards", tmp_path / "out", 1)
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == ["docs.parquet", "train.bin", "train.idx"]


def test_empty_documents_are_counted_and_repeated_ids_too(tmp_path: Path, tokenizer_folder: Path) -> None:
    docs = [*documents(3), Document(text="", id="empty"), Document(text="again", id="doc1")]
    counted = write(tmp_path, tokenizer_folder, [docs], validation_share=0.0)
    answer = merge_tokens(tmp_path / "shards", tmp_path / "out", 1)
    assert counted["empty_documents"] == 1
    assert answer["counts"]["documents"] == {"train": 4, "validation": 0}
    assert answer["counts"]["duplicate_ids"] == 1


def test_ids_that_two_ranks_have_are_counted_and_named(tmp_path: Path, tokenizer_folder: Path) -> None:
    """As after reading a WARC file and a copy of it whose pages were changed."""
    copies = [Document(text=f"changed {number}", id=f"doc{number}") for number in (4, 1)]
    write(tmp_path, tokenizer_folder, [documents(5), copies], validation_share=0.4)
    answer = merge_tokens(tmp_path / "shards", tmp_path / "out", 2)
    assert (answer["counts"]["duplicate_ids"], answer["duplicate_ids"]) == (2, ["doc1", "doc4"])


def test_documents_that_only_tokenizers_can_encode_are_counted(tmp_path: Path, tokenizer_folder: Path) -> None:
    long_word = Document(text="a" * (LONGEST_WORD_BYTES + 1), id="long")
    counted = write(tmp_path, tokenizer_folder, [[*documents(3), long_word]], validation_share=0.0)
    assert counted["documents_left_to_tokenizers"] == 1
    assert counted["documents/train"] == 4


def test_a_dataset_without_documents_is_an_error(tmp_path: Path, tokenizer_folder: Path) -> None:
    write(tmp_path, tokenizer_folder, [[]])
    with pytest.raises(ValueError, match="has no documents at all"):
        merge_tokens(tmp_path / "shards", tmp_path / "out", 1)
    assert list((tmp_path / "out").iterdir()) == []


def test_a_missing_rank_a_cut_file_and_another_tokenizer_are_errors(tmp_path: Path, tokenizer_folder: Path) -> None:
    write(tmp_path, tokenizer_folder, [documents(4)], validation_share=0.0)
    with pytest.raises(ValueError, match=r"lacks 00001.docs.parquet; run these ranks"):
        merge_tokens(tmp_path / "shards", tmp_path / "out", 2)
    other = shutil.copytree(tokenizer_folder, tmp_path / "tokenizer")
    (other / "tokenizer.json").write_text((other / "tokenizer.json").read_text() + "\n")
    WriteTokens(other, tmp_path, params(), lambda *keys, n=1: None).run(iter(documents(2)), 1, 2)
    with pytest.raises(ValueError, match="was made with another tokenizer"):
        merge_tokens(tmp_path / "shards", tmp_path / "out", 2)
    path = tmp_path / "shards" / "00000.train.bin"
    path.write_bytes(path.read_bytes()[:-2])
    with pytest.raises(ValueError, match="but its documents need"):
        merge_tokens(tmp_path / "shards", tmp_path / "out", 1)
    assert not [file for file in (tmp_path / "out").iterdir() if not file.name.endswith(".tmp")]


def test_the_end_of_text_comes_from_either_file_and_its_absence_is_an_error(tmp_path: Path, tokenizer_folder: Path) -> None:
    folder = shutil.copytree(tokenizer_folder, tmp_path / "tokenizer")
    (folder / "tokenizer_config.json").write_text(json.dumps({"eos_token": {"content": EOS}}))
    assert DocumentTokenizer(folder).eos == 1
    (folder / "tokenizer_config.json").unlink()
    with pytest.raises(ValueError, match=r"names no eos_token.*set eos_token in tokenizer_config.json"):
        DocumentTokenizer(folder)
    (folder / "special_tokens_map.json").write_text(json.dumps({"eos_token": EOS}))
    assert DocumentTokenizer(folder).eos == 1
    (folder / "special_tokens_map.json").write_text(json.dumps({"eos_token": "</s>"}))
    with pytest.raises(ValueError, match=r"names eos_token '</s>', which its vocabulary does not have"):
        DocumentTokenizer(folder)


def test_documents_get_the_special_tokens_that_the_page_asks_for(tokenizer_folder: Path, tmp_path: Path) -> None:
    folder = shutil.copytree(tokenizer_folder, tmp_path / "tokenizer")
    plain = DocumentTokenizer(folder, end_of_text=False).encode(TEXTS).documents()
    with pytest.raises(ValueError, match=r"names no bos_token, and every document gets it; set bos_token"):
        DocumentTokenizer(folder, begin_of_text=True)
    (folder / "tokenizer_config.json").write_text(json.dumps({"bos_token": "<|begin_of_text|>", "eos_token": EOS}))
    both = DocumentTokenizer(folder, begin_of_text=True).encode(TEXTS).documents()
    for without, ids in zip(plain, both, strict=True):
        assert ids.tolist() == [0, *without.tolist(), 1]
        assert not {0, 1} & set(without.tolist())  # TEXTS spell special tokens out


def test_a_folder_without_a_tokenizer_is_named(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"is not a tokenizer folder: it has no tokenizer.json"):
        DocumentTokenizer(tmp_path)
    (tmp_path / "tokenizer.model").write_bytes(b"\x0a\x0bsentencepiece\x00\xff")
    with pytest.raises(ValueError, match="is not a file of tiktoken ranks"):
        DocumentTokenizer(tmp_path)
    (tmp_path / "tokenizer.model").write_bytes(b"IQ== 0\nIg== 1\n")
    with pytest.raises(ValueError, match="has 2 ranks, Llama 3 has 128000"):
        DocumentTokenizer(tmp_path)


def test_large_vocabularies_are_written_as_int32(tmp_path: Path, tokenizer_folder: Path) -> None:
    tokenizer = Tokenizer.from_file(str(tokenizer_folder / "tokenizer.json"))
    size = tokenizer.get_vocab_size()
    for goal, dtype in ((65_499, "uint16"), (65_500, "int32")):
        tokenizer.add_tokens([f"<{number}>" for number in range(goal - size)])
        folder = shutil.copytree(tokenizer_folder, tmp_path / dtype)
        tokenizer.save(str(folder / "tokenizer.json"))
        assert DocumentTokenizer(folder).dtype.name == dtype
    write(tmp_path, tmp_path / "int32", [documents(3)], validation_share=0.0)
    merge_tokens(tmp_path / "shards", tmp_path / "out", 1)
    header = (tmp_path / "out" / "train.idx").read_bytes()[:34]
    assert header == b"MMIDIDX\x00\x00" + struct.pack("<QBQQ", 1, 4, 3, 4)
    ids = np.fromfile(tmp_path / "out" / "train.bin", np.int32)
    row = pq.read_table(tmp_path / "out" / "docs.parquet").to_pylist()[1]
    text = tokenizer.decode(ids[row["first_token"] :][: row["num_tokens"] - 1].tolist(), skip_special_tokens=False)
    assert text == documents(3)[1].text


@pytest.fixture(scope="module")
def llama3(tmp_path_factory: pytest.TempPathFactory, shared_data: Path) -> DocumentTokenizer:
    folder = tmp_path_factory.mktemp("llama3")
    shutil.copy(shared_data / "tokenizer" / "llama3_tokenizer.model", folder / "tokenizer.model")
    return DocumentTokenizer(folder)


def test_llama3_tokens_equal_tiktokens_on_real_text(llama3: DocumentTokenizer, shared_data: Path) -> None:
    tiktoken = pytest.importorskip("tiktoken")
    from tiktoken.load import load_tiktoken_bpe

    reference = tiktoken.Encoding(
        "llama3",
        pat_str=PATTERN,
        mergeable_ranks=load_tiktoken_bpe(str(llama3.folder / "tokenizer.model")),
        special_tokens={},
    )
    texts = list(TEXTS)
    for name in ("text/planetmath_tex", "text/cp_algorithms_md", "benchmarks/cmath", "cot/math_train"):
        with gzip.open(shared_data / f"{name}.jsonl.gz", "rt", encoding="utf-8") as file:
            records = [json.loads(line) for line, _ in zip(file, range(150), strict=False)]
        texts += [str(record.get("text") or record.get("question") or record.get("solution")) for record in records]
    encoded = [ids.tolist() for ids in llama3.encode(texts).documents()]
    assert len(texts) > 500
    assert llama3.encoder.name == "compiled"
    assert encoded == [[*reference.encode(text, disallowed_special=()), llama3.eos] for text in texts]
    assert [llama3.tokenizer.decode(ids[:-1], skip_special_tokens=False) for ids in encoded] == texts


def test_llama3_special_tokens_have_their_published_ids(llama3: DocumentTokenizer) -> None:
    assert llama3.eos == 128_001
    assert llama3.vocab_size == 128_256
    assert len(SPECIAL_TOKENS) == 256
    for token, number in (("begin_of_text", 128_000), ("eot_id", 128_009), ("reserved_special_token_247", 128_255)):
        assert llama3.tokenizer.token_to_id(f"<|{token}|>") == number
