"""No chat special token is ever written, whatever the records of a page hold and wherever: every template, every shipped page."""

import json
from pathlib import Path
from typing import Any

import pytest

from curation.book import Book
from curation.filters.word_lists import SHIPPED, items
from curation.format import TEMPLATES, FormatRecords
from curation.sources.read import ReadSource
from recipes.load import load, pages
from recipes.schema import CurateRecipe, FormatStage

TOKENS = items((SHIPPED / "special_tokens.txt").read_text(encoding="utf-8").splitlines())
LIKE_TOKENS = ("<|", "|>", "<｜", "[INST]", "<start_of_turn>", "</s>", "<<SYS>>")  # of families that the list may not have whole
PLAIN = {
    "id": "1", "question": "What is 1+1?", "solution": "One and one.\nIt is 2.", "thinking": "Hmm, 2.", "answer": "2",
    "expected_answer": "2",
}  # fmt: skip


def formats() -> list[Any]:
    found = []
    for name in pages():
        recipe = load(name) if name.startswith("curate/") else None
        if isinstance(recipe, CurateRecipe):
            stages = [stage for stage in recipe.stages.values() if isinstance(stage, FormatStage)]
            found += [pytest.param(recipe, stage, id=name) for stage in stages]
    return found


def row_of(columns: dict[str, str], mark: str, at: str) -> dict[str, Any]:
    """A record in the file's own columns, with a mark inside the field `at`."""
    row: dict[str, Any] = {}
    for ours, theirs in columns.items():
        text = PLAIN.get(ours, "") + (f" {mark} " if ours == at else "")
        value: Any = text
        if ours == "messages":
            said = f"Hi{mark}" if at == "messages" else "Hi"
            value = [{"role": "user", "content": said}, {"role": "assistant", "content": "Hello"}]
        for key in reversed(theirs.split(".")[1:]):
            value = [value] if key == "0" else {key: value}
        row[theirs.split(".")[0]] = value
    return row


@pytest.mark.parametrize(("recipe", "params"), formats())
def test_no_page_emits_a_special_token_from_any_column(recipe: CurateRecipe, params: FormatStage, tmp_path: Path) -> None:
    for name, source in recipe.sources.items():
        told = [ours for ours in source.columns if ours not in ("id", "url", "date")]
        marked = [(at, token) for at in told for token in TOKENS]
        chosen = {column: values[0] for column, values in source.where.items()}
        rows = [row_of(source.columns, token, at) | chosen for at, token in [*marked, ("", "")]]
        (tmp_path / f"{name}.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
        book = Book(tmp_path / name)
        jsonl = source.model_copy(update={"format": "jsonl"})
        read = ReadSource(jsonl, name=name, location=str(tmp_path / f"{name}.jsonl"), as_records=True, book=book)
        dropped: list[str] = []
        step = FormatRecords(params, drop=lambda doc, reason, detail, dropped=dropped: dropped.append(reason))
        texts = [doc.text for doc in step.run(read.run())]
        assert book.counts["records"] == len(rows)
        assert "unreadable" not in book.counts
        assert texts, "the record without a special token makes a document"
        assert not [text for text in texts if any(token in text for token in (*TOKENS, *LIKE_TOKENS))]
        assert set(dropped) == {"format_special_token"}
        assert len(dropped) >= len(TOKENS)


@pytest.mark.parametrize(("template", "think_tags"), [*((name, False) for name in TEMPLATES), ("long_cot", True)])
def test_templates_are_plain_text(template: str, think_tags: bool) -> None:
    messages = [{"role": role, "content": "4"} for role in ("system", "user", "assistant", "user", "assistant")]
    record = PLAIN | ({"messages": messages} if template == "instruction" else {})
    text = TEMPLATES[template](record, FormatStage(do="format", template=template, think_tags=think_tags))
    assert not [token for token in (*TOKENS, *LIKE_TOKENS) if token in text]
    assert ("<think>" in text) == think_tags
