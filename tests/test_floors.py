"""Imports point down: slurm -> {curation, pretrain} -> recipes; curation and pretrain never meet."""

import ast
import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
ROOMS = ("recipes", "curation", "pretrain", "slurm")
ALLOWED = {
    "recipes": {"recipes"},
    "curation": {"curation", "recipes"},
    "pretrain": {"pretrain", "recipes"},
    "slurm": set(ROOMS),
}
NEVER = {
    "recipes": {"torch", "datatrove", "megatron", "transformers"},
    "curation": {"torch", "megatron", "transformers"},
    "pretrain": {"datatrove"},
    "slurm": {"torch", "datatrove", "megatron", "transformers"},
}
FORBIDDEN_NAMES = re.compile(r"(^|_)(utils?|helpers?|misc|common|manager|handler)(_|$)|^new_|_v2$")


def files(room: str) -> list[Path]:
    return sorted((ROOT / room).rglob("*.py"))


def imported(file: Path) -> set[str]:
    """The first names of everything a file imports, at its top or inside functions."""
    names = set()
    for node in ast.walk(ast.parse(file.read_text())):
        if isinstance(node, ast.Import):
            names |= {alias.name.split(".")[0] for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{file}: relative import"
            names.add((node.module or "").split(".")[0])
    return names


@pytest.mark.parametrize("room", ROOMS)
def test_imports_point_down(room: str) -> None:
    assert files(room)
    for file in files(room):
        ours = imported(file) & set(ROOMS)
        assert ours <= ALLOWED[room], f"{file.relative_to(ROOT)} imports {ours - ALLOWED[room]}"
        assert not imported(file) & NEVER[room], f"{file.relative_to(ROOT)} imports {imported(file) & NEVER[room]}"


@pytest.mark.parametrize("part", ["evaluate", "readiness", "probe"])
def test_what_is_asked_of_checkpoints_does_not_lean_on_one_another(part: str) -> None:
    found = sorted((ROOT / "pretrain" / part).rglob("*.py"))
    assert found
    others = "|".join({"evaluate", "readiness", "probe"} - {part})
    for file in found:
        assert not re.search(rf"pretrain\.({others})\b", file.read_text()), f"{file.name} names another part's modules"


def test_no_file_has_a_name_that_says_nothing() -> None:
    for room in ROOMS:
        for file in files(room):
            for part in file.relative_to(ROOT).with_suffix("").parts:
                assert not FORBIDDEN_NAMES.search(part), file


def test_compiled_functions_go_through_the_cache_that_knows_all_of_their_code() -> None:
    for file in files("curation"):
        names = {alias.name for node in ast.walk(ast.parse(file.read_text())) for alias in _of_numba(node)}
        assert not names & {"njit", "jit", "vectorize"} or file.name == "compiled.py", file


def _of_numba(node: ast.AST) -> list[ast.alias]:
    return node.names if isinstance(node, ast.ImportFrom) and node.module == "numba" else []


def test_nothing_is_imported_from_a_conftest() -> None:
    """Which conftest that would be depends on the order in which pytest collected the tests."""
    for file in sorted((ROOT / "tests").rglob("*.py")):
        assert "conftest" not in imported(file), file


@pytest.mark.parametrize(
    "statement",
    [
        "import curation, pretrain, recipes, slurm",
        "import slurm.cli; slurm.cli.main(['--help'], standalone_mode=False)",
        "import slurm.cli; slurm.cli.main(['show', 'train/demo'], standalone_mode=False)",
        "import slurm.cli; slurm.cli.main(['plan', 'train/octothinker_8b', '--json'], standalone_mode=False)",
        "import slurm.cli; slurm.cli.main(['sweep', 'sweep/demo', '--json'], standalone_mode=False)",
    ],
)
def test_looking_never_loads_torch_or_datatrove(statement: str) -> None:
    check = "import sys; bad = {'torch', 'datatrove', 'megatron', 'transformers'} & set(sys.modules); assert not bad, bad"
    code = f"try:\n    {statement}\nexcept SystemExit:  # plan: what must be there before it can run\n    pass\n{check}"
    answer = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True)
    assert answer.returncode == 0, answer.stderr
