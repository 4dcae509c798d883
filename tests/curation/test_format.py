import json
from typing import Any

import pytest
from datatrove.data import Document

from curation.format import FormatRecords
from recipes.schema import FormatStage

Dropped = list[tuple[str, str, str]]


def run(record: dict[str, Any], template: str, **params: Any) -> tuple[list[Document], Dropped]:
    dropped: Dropped = []
    step = FormatRecords(
        FormatStage(do="format", template=template, **params),
        drop=lambda doc, why, detail: dropped.append((why, detail, doc.text)),
    )
    doc = Document(text="", id="r1", metadata={"url": None, "record": record})
    return list(step.run(iter([doc]))), dropped


def text(record: dict[str, Any], template: str, **params: Any) -> str:
    docs, dropped = run(record, template, **params)
    assert dropped == []
    assert "record" not in docs[0].metadata
    return docs[0].text


def reason(record: dict[str, Any], template: str, **params: Any) -> tuple[str, str]:
    docs, dropped = run(record, template, **params)
    assert docs == []
    assert json.loads(dropped[0][2]) == record
    return dropped[0][:2]


CHAT = [{"role": "user", "content": "Hi"}, {"role": "assistant", "content": "Hello"}]


# ---------------------------------------------------------------------------------------------------- templates


@pytest.mark.parametrize(
    "record",
    [
        {"question": " What is 1+1? ", "answer": "2\n"},
        {"problem": "What is 1+1?", "solution": "2"},
        {"question": "What is 1+1?", "answer": 2},
    ],
)
def test_question_answer_accepts_both_names_of_its_columns(record):
    assert text(record, "question_answer") == "Question: What is 1+1?\nAnswer: 2"


def test_short_cot_ends_with_the_final_answer():
    record = {"problem": "What is 2*3+1?", "solution": "First 2*3=6.\nThen add one.", "answer": "7"}
    assert text(record, "short_cot") == "Question: What is 2*3+1?\nAnswer: First 2*3=6.\nThen add one.\nFinal answer: 7"


@pytest.mark.parametrize("solution", ["6 + 1.\nSo it is 7.", r"It is $\boxed{7}$." + "\nDone.", "7"])
def test_an_answer_that_the_solution_states_is_not_repeated(solution):
    assert text({"problem": "P", "solution": solution, "answer": "7"}, "short_cot") == f"Question: P\nAnswer: {solution}"


@pytest.mark.parametrize("solution", ["It is 17.", "It is 7.5", "It is 3.7"])
def test_an_answer_inside_another_number_is_not_the_answer(solution):
    assert text({"problem": "P", "solution": solution, "answer": "7"}, "short_cot").endswith("\nFinal answer: 7")


def test_short_cot_without_a_solution_column_takes_the_answer_as_the_solution():
    assert text({"question": "Q", "answer": "Because.\n#### 3"}, "short_cot") == "Question: Q\nAnswer: Because.\n#### 3"


def test_long_cot_is_question_thinking_and_final_answer():
    record = {"question": "Q?", "thinking": "Try 3.\nWait, no.\nTry 4.", "answer": "x = 4"}
    assert text(record, "long_cot") == "Q?\nTry 3.\nWait, no.\nTry 4.\nFinal answer: x = 4"
    assert text({"question": "Q?", "thinking": "So 4."}, "long_cot") == "Q?\nSo 4."


def test_think_tags_are_written_only_when_asked_for_and_never_twice():
    record = {"question": "Q?", "thinking": "<think>\nTry 4.\n</think>\nThe answer is 4.", "answer": "5"}
    assert text(record, "long_cot") == "Q?\nTry 4.\nFinal answer: 5"
    assert text(record, "long_cot", think_tags=True) == "Q?\n<think>\nTry 4.\n</think>\nFinal answer: 5"
    assert text({"question": "Q?", "thinking": "Cut off <think> here"}, "long_cot") == "Q?\nCut off  here"


def test_instruction_joins_turns_and_puts_the_system_text_first():
    messages = [
        {"role": "system", "content": "Be brief."},
        *CHAT,
        {"role": "user", "content": "2+2?"},
        {"role": "assistant", "content": "4"},
    ]
    assert text({"messages": messages}, "instruction") == "Be brief.\nUser:Hi\nAssistant:Hello\nUser:2+2?\nAssistant:4"


def test_instruction_reads_from_and_value_and_plain_questions():
    messages = [{"from": "human", "value": "Hi"}, {"from": "gpt", "value": "Hello"}]
    assert text({"messages": messages}, "instruction") == "User:Hi\nAssistant:Hello"
    assert text({"question": "Hi", "answer": "Hello"}, "instruction") == "User:Hi\nAssistant:Hello"


# ---------------------------------------------------------------------------------------------------- metadata


@pytest.mark.parametrize(
    ("record", "template", "expected"),
    [
        ({"question": "Q", "answer": "long text", "expected_answer": 12}, "question_answer", "12"),
        ({"question": "Q", "answer": "long text"}, "question_answer", None),
        ({"problem": "Q", "solution": "S", "answer": "4"}, "short_cot", "4"),
        ({"problem": "Q", "answer": "S so 4"}, "short_cot", None),
        ({"problem": "Q", "thinking": "T", "answer": "4"}, "long_cot", "4"),
    ],
)
def test_the_expected_answer_is_kept_when_there_is_one(record, template, expected):
    (doc,), _ = run(record, template)
    stated = doc.metadata.pop("stated_answer", None)
    assert doc.metadata == {"url": None} | ({} if expected is None else {"expected_answer": expected})
    assert (stated is None) == (expected is None)


@pytest.mark.parametrize(
    ("record", "template", "stated"),
    [
        ({"problem": "Q", "solution": r"So \boxed{5}.", "answer": "4"}, "short_cot", "5"),
        ({"problem": "Q", "thinking": "<think>4? No.</think>\nThe answer is 5.", "answer": "4"}, "long_cot", "5"),
        ({"problem": "Q", "thinking": "It is 5.", "answer": "4"}, "long_cot", "5"),
        ({"problem": "Q", "solution": "None.", "answer": "4"}, "short_cot", ""),
        ({"question": "Q", "answer": "#### 5", "expected_answer": 4}, "question_answer", "5"),
    ],
)
def test_the_stated_answer_is_what_the_record_itself_ends_on_never_the_answer_beside_it(record, template, stated):
    (doc,), _ = run(record, template)
    assert (doc.metadata["stated_answer"], doc.metadata["expected_answer"]) == (stated, "4")


@pytest.mark.parametrize("answer", ["proof", "notfound", "Proof"])
def test_what_is_no_answer_is_neither_written_nor_checked(answer):
    (doc,), _ = run({"problem": "Show it.", "solution": "It is clear.", "answer": answer}, "short_cot")
    assert doc.text == "Question: Show it.\nAnswer: It is clear."
    assert "expected_answer" not in doc.metadata
    kept = text({"problem": "P", "solution": "S", "answer": answer}, "short_cot", not_answers=[])
    assert kept == f"Question: P\nAnswer: S\nFinal answer: {answer}"


# ---------------------------------------------------------------------------------------------------- drops


@pytest.mark.parametrize(
    ("record", "template", "detail"),
    [
        ({"question": " ", "answer": "2"}, "question_answer", "question or problem"),
        ({"question": "Q", "answer": None}, "question_answer", "answer or solution"),
        ({"question": "Q", "answer": ["a"]}, "question_answer", "answer is a list, not text"),
        ({"question": "Q", "thinking": ""}, "long_cot", "thinking"),
        ({"question": "Q", "thinking": "<think> </think> 4"}, "long_cot", "thinking"),
        ({"messages": [CHAT[0], {"role": "assistant", "content": " "}]}, "instruction", "messages"),
    ],
)
def test_empty_fields_drop_the_record(record, template, detail):
    assert reason(record, template) == ("format_empty_field", detail)


@pytest.mark.parametrize(
    ("messages", "detail"),
    [
        ("Hi", "messages is a str, not a list"),
        (["Hi"], "a message is a str, not a mapping"),
        ([{"role": "tool", "content": "x"}], "unknown role 'tool'"),
        ([{"content": "x"}], "unknown role 'None'"),
        ([{"role": "user", "content": [{"type": "image"}]}], "a message's text is a list"),
        ([], "turns do not alternate from user to assistant"),
        ([CHAT[0]], "turns do not alternate from user to assistant"),
        ([CHAT[1], CHAT[0]], "turns do not alternate from user to assistant"),
        ([CHAT[0], CHAT[0], CHAT[1]], "turns do not alternate from user to assistant"),
        ([*CHAT, {"role": "system", "content": "x"}, *CHAT], "system turn inside the conversation"),
    ],
)
def test_bad_messages_drop_the_record(messages, detail):
    assert reason({"messages": messages}, "instruction") == ("format_bad_messages", detail)


def test_too_long_texts_are_dropped():
    assert reason({"question": "Q", "answer": "a" * 100}, "question_answer", max_chars=100) == ("format_too_long", "characters")


@pytest.mark.parametrize(
    "token", ["<|im_start|>", "<|eot_id|>", "<|start_header_id|>", "[INST]", "<s>", "<|reserved_special_token_17|>"]
)
def test_literal_special_tokens_drop_the_record(token):
    detail = token if "reserved" not in token else "<|reserved_special_token_"
    assert reason({"question": "Q", "answer": f"4{token}user"}, "question_answer") == ("format_special_token", detail)


def test_mathematics_in_angle_brackets_and_html_are_no_special_tokens():
    answer = r"$0 < |x| < 1$, $\langle s \rangle$, [inst], <b>S</b>"
    assert text({"question": "Q", "answer": answer}, "question_answer") == f"Question: Q\nAnswer: {answer}"


# ---------------------------------------------------------------------------------------------------- users' mistakes


def test_a_document_without_a_record_is_a_mistake_in_the_page():
    step = FormatRecords(FormatStage(do="format", template="short_cot"), drop=lambda doc, why, detail: None)
    with pytest.raises(ValueError, match="document 'd' has no record to format; a format stage comes first"):
        list(step.run(iter([Document(text="plain", id="d")])))


def test_think_tags_belong_to_long_cot_alone():
    with pytest.raises(ValueError, match="think_tags is for template long_cot, not 'short_cot'"):
        FormatStage(do="format", template="short_cot", think_tags=True)
