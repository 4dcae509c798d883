"""The sample is reproducible, its truth is true, and the libraries that read such files read these."""

import gzip
import hashlib
import random
import re
from collections import Counter
from io import BytesIO

import pytest
from fastwarc.warc import ArchiveIterator, WarcRecordType

from curation.sample import make_sample
from curation.sample.crawl import apportion
from curation.sample.duplicates import TARGETS, TOLERANCE
from curation.sample.grammar import load_grammar, parse_rules
from curation.sample.leaks import edited_question
from curation.sample.markup import MARKUPS, text_to_html
from curation.sample.mathml import to_characters, to_mathml
from curation.sample.pages import KINDS_OF_PAGES
from tests.curation.sample_files import SIZES, read_lines


def responses(folder):
    """(id, url, content type, body) of every whole HTTP 200 response of the shards that can be read."""
    found = []
    for path in sorted(folder.glob("*.warc.gz")):
        if path.stat().st_size == 0:
            continue
        for record in ArchiveIterator(BytesIO(path.read_bytes()), record_types=WarcRecordType.response, parse_http=False):
            block = record.reader.read()
            if len(block) == record.content_length and block.startswith(b"HTTP/1.1 200"):
                head, _, body = block.partition(b"\r\n\r\n")
                content_type = re.search(rb"Content-Type: ([^\r]+)", head)[1].decode()
                found.append((record.record_id, record.headers["WARC-Target-URI"], content_type, body))
    return found


def word_ngrams(text):
    words = re.findall(r"\w+", text.lower())
    return {tuple(words[i : i + 5]) for i in range(len(words) - 4)}


def digest(folder):
    return {
        str(path.relative_to(folder)): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in folder.rglob("*")
        if path.is_file()
    }


def test_the_same_seed_gives_the_same_bytes_and_another_seed_does_not(sample, tmp_path):
    out, _ = sample
    make_sample(tmp_path / "again", seed=3, **SIZES)
    make_sample(tmp_path / "other", seed=4, **SIZES)
    assert digest(tmp_path / "again") == digest(out)
    other, first = digest(tmp_path / "other"), digest(out)
    assert {name for name in first if first[name] == other.get(name)} == {
        "crawl/crawl-00008.warc.gz", "base_model/config.json", "base_model/generation_config.json",
        "base_model/tokenizer_config.json", "base_model/special_tokens_map.json", "tokenizer/tokenizer_config.json",
        "tokenizer/special_tokens_map.json",
    }  # fmt: skip


def test_every_page_of_the_truth_is_in_the_crawl_unless_it_is_lost(sample):
    out, counts = sample
    truth = read_lines(out / "truth.jsonl")
    stored = {key: url for key, url, content_type, _ in responses(out / "crawl") if content_type.startswith("text/html")}
    assert {line["id"]: line["url"] for line in truth if not line["lost"]} == stored
    assert sum(line["lost"] for line in truth) == counts["crawl"]["lost_pages"] == 1
    assert len(truth) == len({line["id"] for line in truth}) == len({line["url"] for line in truth}) == SIZES["num_pages"]
    assert {line["kind"] for line in truth} >= set(KINDS_OF_PAGES)


def test_one_shard_is_cut_in_its_last_member_and_one_is_empty(sample):
    out, _ = sample
    cut = []
    for path in sorted((out / "crawl").iterdir()):
        try:
            gzip.decompress(path.read_bytes())
        except EOFError:
            cut.append(path.name)
    assert cut == ["crawl-00005.warc.gz"]
    assert (out / "crawl" / "crawl-00008.warc.gz").stat().st_size == 0


def test_every_record_is_a_gzip_member_of_its_own(sample):
    out, _ = sample
    content = (out / "crawl" / "crawl-00000.warc.gz").read_bytes()
    records = list(ArchiveIterator(BytesIO(content), parse_http=False))
    starts = [record.stream_pos for record in records]
    assert all(content[start : start + 2] == b"\x1f\x8b" for start in starts)
    assert gzip.decompress(content[starts[1] : starts[2]]).startswith(b"WARC/1.0\r\n")
    assert {str(record.headers["WARC-Type"]) for record in records} >= {"warcinfo", "response", "request", "metadata"}


def test_recorded_similarities_are_exact_and_near_their_targets(sample):
    out, counts = sample
    truth = read_lines(out / "truth.jsonl")
    text = {line["id"]: line["text"] for line in read_lines(out / "main_text.jsonl")}
    children = [line for line in truth if line["parent"]]
    assert len(children) == counts["crawl"]["near_duplicates"] + counts["crawl"]["exact_copies"]
    for line in children:
        one, other = word_ngrams(text[line["id"]]), word_ngrams(text[line["parent"]])
        assert line["jaccard_to_parent"] == pytest.approx(len(one & other) / len(one | other), abs=1e-12)
        assert min(abs(line["jaccard_to_parent"] - target) for target in (*TARGETS, 1.0)) <= TOLERANCE
    assert {min(TARGETS, key=lambda target: abs(target - line["jaccard_to_parent"])) for line in children} == set(TARGETS)
    by_id = {line["id"]: line for line in truth}
    assert all(by_id[line["parent"]]["cluster"] == line["cluster"] for line in children)


def test_mathematics_pages_outside_clusters_are_not_near_duplicates(sample):
    out, _ = sample
    truth = {line["id"]: line for line in read_lines(out / "truth.jsonl")}
    pages = [
        (truth[line["id"]]["cluster"], word_ngrams(line["text"]))
        for line in read_lines(out / "main_text.jsonl")
        if truth[line["id"]]["quality"] == "good"
    ]
    worst = 0.0
    for index, (cluster, one) in enumerate(pages):
        for other_cluster, other in pages[:index]:
            if cluster is None or cluster != other_cluster:
                worst = max(worst, len(one & other) / len(one | other))
    assert worst < 0.4


def test_leaked_questions_stand_in_their_pages_as_recorded(sample):
    out, counts = sample
    questions = {line["id"]: line["question"] for line in read_lines(out / "benchmarks" / "demo_problems.jsonl")}
    questions |= {line["id"]: line["problem"] for line in read_lines(out / "benchmarks" / "demo_olympiad.jsonl")}
    assert len(questions) == counts["benchmark_items"] == 260
    assert min(len(question.split()) for question in questions.values()) < 10
    text = {line["id"]: line["text"] for line in read_lines(out / "main_text.jsonl")}
    leaks = [line for line in read_lines(out / "truth.jsonl") if line["leak"]]
    assert Counter(line["leak"]["edit"] for line in leaks) == counts["crawl"]["leaks_by_edit"]
    assert set(counts["crawl"]["leaks_by_edit"]) == {"verbatim", "edited", "answer_changed"}
    for line in leaks:
        assert line["leak"]["text"] in text[line["id"]]
        assert (line["leak"]["text"] == questions[line["leak"]["item"]]) == (line["leak"]["edit"] == "verbatim")


def test_no_benchmark_question_stands_in_a_page_that_is_not_a_leak(sample):
    out, _ = sample
    questions = [line["question"] for line in read_lines(out / "benchmarks" / "demo_problems.jsonl")]
    questions += [line["problem"] for line in read_lines(out / "benchmarks" / "demo_olympiad.jsonl")]
    clean = {line["id"] for line in read_lines(out / "truth.jsonl") if line["leak"] is None}
    texts = [line["text"] for line in read_lines(out / "main_text.jsonl") if line["id"] in clean]
    assert [question for question in questions if any(question in text for text in texts)] == []


def test_edited_leaks_change_words_and_latex_spelling():
    rng, grammar = random.Random(1), load_grammar()
    assert edited_question("Determine $\\frac{1}{2} + x$.", "edited", grammar, rng) == "Find $\\dfrac{1}{2}+x$."
    assert edited_question("Isolde sold many.", "edited", grammar, rng) == "Isolde gave out many."
    changed = edited_question("Take $12$ pears.", "answer_changed", grammar, rng)
    assert changed != "Take $12$ pears."
    assert re.fullmatch(r"Take \$\d+\$ pears\.", changed)
    assert edited_question("Nothing fits here.", "edited", grammar, rng) == "Nothing fits here, would you say."


def test_recorded_equations_are_in_the_stored_html(sample):
    out, _ = sample
    body = {key: content for key, _, _, content in responses(out / "crawl")}
    checked = Counter()
    for line in read_lines(out / "truth.jsonl"):
        if line["lost"] or not line["tex_in_page"] or line["kind"].startswith("broken"):
            continue
        html = body[line["id"]].decode()
        for tex in line["equations"]:
            escaped = tex.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
            attribute = escaped.replace('"', "&quot;").replace("'", "&#x27;")
            assert tex in html or escaped in html or attribute in html
            checked[line["math_markup"]] += 1
    assert set(checked) == {"mathjax2", "mathjax3", "mathml", "katex", "latexml", "wordpress"}


def test_classifier_examples_are_not_pages_of_the_crawl(sample):
    out, counts = sample
    examples = read_lines(out / "classifier" / "examples.jsonl")
    crawl = {line["text"] for line in read_lines(out / "main_text.jsonl")}
    assert crawl.isdisjoint(line["text"] for line in examples)
    assert Counter(line["label"] for line in examples) == {1: counts["classifier"]["good"], 0: counts["classifier"]["other"]}


def test_refusals_say_what_is_wrong_and_the_way_out(tmp_path):
    with pytest.raises(ValueError, match=r"num_pages=12 is too few .* at least 100"):
        make_sample(tmp_path, seed=1, **{**SIZES, "num_pages": 12})
    with pytest.raises(ValueError, match="num_problems=1 is too few"):
        make_sample(tmp_path, seed=1, **{**SIZES, "num_problems": 1})
    with pytest.raises(ValueError, match=r"vocab_size=800, but model\.vocab_size=700"):
        make_sample(tmp_path, seed=1, **{**SIZES, "vocab_size": 800})
    assert list(tmp_path.iterdir()) == []


def test_apportioning_uses_every_thing_and_forgets_no_name():
    assert apportion(10, {"a": 70, "b": 29, "c": 1}) == {"a": 6, "b": 3, "c": 1}
    assert sum(apportion(101, {"a": 1, "b": 1, "c": 1}).values()) == 101


def test_a_rule_without_alternatives_is_refused():
    with pytest.raises(ValueError, match="rule 'empty' has no alternative"):
        parse_rules(":empty\n:full\nword\n")


def test_mathml_has_the_structure_of_the_latex():
    assert to_mathml("\\frac{a}{2}^2") == "<mrow><msup><mfrac><mi>a</mi><mn>2</mn></mfrac><mn>2</mn></msup></mrow>"
    assert to_mathml("x_1^{n + 1}") == (
        "<mrow><msubsup><mi>x</mi><mn>1</mn><mrow><mi>n</mi><mo>+</mo><mn>1</mn></mrow></msubsup></mrow>"
    )
    assert to_characters("\\begin{pmatrix} 1 & b \\\\ 0 & \\alpha \\end{pmatrix}") == "(1b0α)"


@pytest.mark.parametrize(
    ("markup", "html"),
    [
        ("mathjax3", "if \\(a &lt; 2\\)"),
        ("wordpress", 'alt="a &lt; 2"'),
        ("latexml", 'alttext="a &lt; 2"'),
        ("mathjax2", '<script type="math/tex">a < 2</script>'),
        ("katex", '<annotation encoding="application/x-tex">a &lt; 2</annotation>'),
        ("mathml_bare", "<mi>a</mi><mo>&lt;</mo><mn>2</mn>"),
    ],
)
def test_formulas_are_written_as_each_tool_writes_them(markup, html):
    assert html in text_to_html("if $a < 2$", MARKUPS[markup])
