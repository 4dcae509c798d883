"""The graph of stages: pages of curation as boxes with their stages in order, training stages and exports each a box,
from left to right by what needs what."""

from collections.abc import Sequence
from dataclasses import dataclass, field

from markupsafe import Markup, escape

from recipes.report.figures import clean, is_number, short
from recipes.report.record import Record

ROW, HEAD, FOOT = 19, 30, 8
BOX_GAP, SINGLE_GAP, COLUMN_GAP, MARGIN, ABOVE = 18, 40, 46, 14, 5
GROUP_WIDTH, SINGLE_WIDTH = 218, 150
CHAR_WIDTH = 7.0  # of 12 px text, about
QUIET_ROLES = ("tokenizer", "config")  # every stage reads them; drawn, they hide the rest


@dataclass
class Box:
    """A page of curation, or one stage of another room."""

    title: str
    records: list[Record]
    is_group: bool
    colour: int
    needs: dict[int, float] = field(default_factory=dict)  # index of a box: share of the blend, 1 when it is no blend
    column: int = 0
    x: float = 0.0
    y: float = 0.0

    @property
    def width(self) -> int:
        return GROUP_WIDTH if len(self.records) > 1 else SINGLE_WIDTH

    @property
    def height(self) -> int:
        return HEAD + len(self.records) * ROW + FOOT if self.is_group else 46


def lineage_svg(records: Sequence[Record], colours: dict[str, int]) -> Markup:
    """`colours` by `Record.made`, for training stages and exports."""
    boxes = _boxes(records, colours)
    if not boxes:
        return Markup("")
    width, height = _lay_out(boxes)
    groups = {box.column for box in boxes if box.is_group}
    edges = [_edge(boxes[need], box, part, groups) for box in boxes for need, part in box.needs.items()]
    return Markup(
        '<svg class="lineage" viewBox="0 0 {width:.0f} {height:.0f}" width="{width:.0f}" height="{height:.0f}" '
        'role="img" aria-label="Lineage of all stages"><title>Lineage of all stages</title><desc>{desc}</desc>'
        "{edges}{boxes}</svg>"
    ).format(
        width=width,
        height=height,
        desc="; ".join(_described(box, boxes) for box in boxes),
        edges=Markup("").join(edges),
        boxes=Markup("").join(_drawn(box) for box in boxes),
    )


def _described(box: Box, boxes: Sequence[Box]) -> str:
    needs = ", ".join(boxes[need].title for need in box.needs)
    return f"{box.title} from {needs}" if needs else box.title


def _boxes(records: Sequence[Record], colours: dict[str, int]) -> list[Box]:
    boxes: list[Box] = []
    box_of: dict[str, int] = {}  # by Record.made
    group_of: dict[str, int] = {}  # by page
    for record in records:
        is_group = record.page.startswith("curate/")
        if is_group and record.page in group_of:
            boxes[group_of[record.page]].records.append(record)
            box_of[record.made] = group_of[record.page]
            continue
        title = record.page.removeprefix("curate/") if is_group else record.stage
        boxes.append(Box(title, [record], is_group, colours.get(record.made, 0)))
        box_of[record.made] = len(boxes) - 1
        if is_group:
            group_of[record.page] = len(boxes) - 1
    for index, box in enumerate(boxes):
        for record in box.records:
            for role, made in record.inputs.items():
                need = box_of.get(made)
                if need is None or need == index or role in QUIET_ROLES:
                    continue
                asked = record.number("params", "blend", role.removeprefix("dataset/"))
                only_validation = role.startswith("dataset/") and asked is None
                if not only_validation:
                    box.needs[need] = max(box.needs.get(need, 0.0), float(asked if asked is not None else 1.0))
    return boxes


def _lay_out(boxes: list[Box]) -> tuple[float, float]:
    """Columns by the longest way from a box that needs none. Returns width and height."""
    for _ in boxes:  # as many rounds as the longest way can have steps: odd manifests may name each other in a circle
        for box in boxes:
            box.column = min(max((boxes[need].column + 1 for need in box.needs), default=0), len(boxes) - 1)
    numbers = sorted({box.column for box in boxes})
    columns = [[box for box in boxes if box.column == number] for number in numbers]
    tallest = max(sum(box.height + BOX_GAP for box in column) - BOX_GAP for column in columns)
    x = float(MARGIN)
    for column in columns:
        is_passed = any(boxes[need].column < column[0].column < box.column for box in boxes for need in box.needs)
        # lines that go past single stages have the room below them
        _place(column, x, 0.0 if is_passed and not any(box.is_group for box in column) else MARGIN + tallest / 2)
        x += max(box.width for box in column) + COLUMN_GAP
    return x - COLUMN_GAP + MARGIN, max(box.y + box.height for box in boxes) + MARGIN


def _place(column: list[Box], x: float, middle: float) -> None:
    gap = BOX_GAP if any(box.is_group for box in column) else SINGLE_GAP
    y = max(float(MARGIN), middle - (sum(box.height + gap for box in column) - gap) / 2)
    for box in column:
        box.x, box.y = x, y
        y += box.height + gap


def _edge(start: Box, end: Box, part: float, groups: set[int]) -> Markup:
    """Thicker for a larger share of the blend, in the colour of the stage that reads. Leaves a page at its last stage;
    goes above the pages of curation that stand between."""
    x1, y1 = start.x + start.width, start.y + start.height - (FOOT + ROW / 2 if start.is_group else start.height / 2)
    x2, y2 = end.x, end.y + (HEAD / 2 if end.is_group else end.height / 2)
    if any(start.column < column < end.column for column in groups):
        way = (
            f"C{x1 + 28:.1f} {y1:.1f} {x1 + 18:.1f} {ABOVE} {x1 + COLUMN_GAP:.1f} {ABOVE}"
            f"L{x2 - COLUMN_GAP:.1f} {ABOVE}C{x2 - 18:.1f} {ABOVE} {x2 - 28:.1f} {y2:.1f}"
        )
    else:
        bend = max(COLUMN_GAP * 0.7, (x2 - x1) * 0.45)
        way = f"C{x1 + bend:.1f} {y1:.1f} {x2 - bend:.1f} {y2:.1f}"
    return Markup(
        f'<path class="edge c{end.colour}" stroke-width="{1 + 4 * part:.1f}" d="M{x1:.1f} {y1:.1f}{way} {x2:.1f} {y2:.1f}"/>'
    )


def _drawn(box: Box) -> Markup:
    parts = [
        f'<rect class="box c{box.colour}" x="{box.x:.1f}" y="{box.y:.1f}" width="{box.width}" height="{box.height}" rx="6"/>'
    ]
    parts.append(_text("name", box.x + 12, box.y + 19, box.title, box.width - 24))
    if not box.is_group:
        parts.append(_text("tick", box.x + 12, box.y + 36, _made_what(box.records[0]), box.width - 24))
        return Markup("".join(parts))
    place = {record.made: i for i, record in enumerate(box.records)}
    rail = box.x + 26
    heights = [box.y + HEAD + i * ROW + ROW / 2 for i in range(len(box.records))]
    for i, record in enumerate(box.records):
        for made in sorted(set(record.inputs.values())):
            j = place.get(made)
            if j is not None and j < i:
                bulge = 0 if i - j == 1 else min(5 + 3 * (i - j), 20)
                parts.append(
                    f'<path class="rail" d="M{rail:.1f} {heights[j]:.1f}C{rail - bulge:.1f} {heights[j]:.1f} '
                    f'{rail - bulge:.1f} {heights[i]:.1f} {rail:.1f} {heights[i]:.1f}"/>'
                )
    for height, record in zip(heights, box.records, strict=True):
        made_what = _made_what(record)
        parts.append(f'<circle class="dot" cx="{rail:.1f}" cy="{height:.1f}" r="3"/>')
        parts.append(_text("tick strong", rail + 11, height + 4, record.stage, box.width - 60 - len(made_what) * CHAR_WIDTH))
        parts.append(_text("tick end", box.x + box.width - 10, height + 4, made_what, 90))
    return Markup("".join(parts))


def _text(kind: str, x: float, y: float, text: str, width: float) -> str:
    """Shortened to the width; the whole text stays as the title."""
    fits = max(3, int(width / CHAR_WIDTH))
    shown = text if len(text) <= fits else f"{text[: fits - 1]}…"
    whole = f"<title>{escape(clean(text))}</title>" if shown != text else ""
    return f'<text class="{kind}" x="{x:.1f}" y="{y:.1f}">{escape(clean(shown))}{whole}</text>'


def _made_what(record: Record) -> str:
    """Tokens, documents or steps, in a word."""
    tokens, documents = record.number("counts", "tokens"), record.number("counts", "documents_out")
    if tokens is None and record.do == "tokenize":
        tokens = sum(leaf for leaf in record.tree("counts", "tokens").values() if is_number(leaf)) or None
    if tokens is not None:
        return f"{short(tokens)} tokens"
    if documents is not None:
        return f"{short(documents)} docs"
    return "checkpoint" if record.do == "export" else ""
