"""A prompt is a text file in which {text} stands, once, for what is asked about. Shipped ones lie in `prompts/`."""

from pathlib import Path

PLACE = "{text}"
SHIPPED = Path(__file__).parent / "prompts"


def find_prompt(name: str) -> str:
    """The path of a shipped prompt's file; any other name is a path itself."""
    shipped = SHIPPED / f"{name}.txt"
    return str(shipped) if shipped.is_file() else name


def read_prompt(file: Path) -> str:
    if not file.is_file():
        shipped = ", ".join(sorted(path.stem for path in SHIPPED.glob("*.txt")))
        raise ValueError(f"no prompt {str(file)!r}: it is neither a file nor a shipped prompt ({shipped})")
    prompt = file.read_text(encoding="utf-8")
    if prompt.count(PLACE) != 1:
        raise ValueError(f"prompt {file}: {PLACE} stands in it {prompt.count(PLACE)} times; write it once, where the text goes")
    return prompt


def fill(prompt: str, text: str) -> str:
    """Never str.format: formulas are full of braces."""
    before, _, after = prompt.partition(PLACE)
    return f"{before}{text}{after}".strip()
