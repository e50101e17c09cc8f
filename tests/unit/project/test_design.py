"""DESIGN.md keeps its promises: what it names is there."""

from __future__ import annotations

import ast
import re
from pathlib import Path

ROOT = Path(__file__).parents[3]
NAMED = re.compile(r"`(tests/[\w/]+\.py)::(\w+)`")
PROVEN = re.compile(rf"\| {NAMED.pattern}(, {NAMED.pattern})*( \([^|]+\))? \|$")
"""One test or several, and perhaps how to run a longer one."""


def test_every_test_that_design_names_exists() -> None:
    """A row of 'What happens when' without its test would be a mere claim."""
    named = NAMED.findall((ROOT / "DESIGN.md").read_text())
    missing = [
        f"{path}::{name}"
        for path, name in named
        if not (ROOT / path).is_file() or f"def {name}(" not in (ROOT / path).read_text()
    ]
    assert len(named) > 20
    assert missing == []


def test_every_row_of_the_table_names_its_tests() -> None:
    """The table of faults has no row that nothing proves, and none whose proof is cut short."""
    text = (ROOT / "DESIGN.md").read_text()
    table = text[text.index("## 6. What happens when") :].split("\n## ")[0]
    rows = [line for line in table.splitlines() if line.startswith("| ") and not line.startswith("| ...|")]
    unproven = [row for row in rows[2:] if not PROVEN.search(row)]
    assert unproven == []


def test_every_broad_except_stands_where_design_says() -> None:
    """Everywhere else an unexpected error is nobody's business but its caller's."""
    text = (ROOT / "DESIGN.md").read_text()
    (passage,) = re.findall(r"^\* \*\*A broad `except`\*\*.*?(?=^\* |\Z)", text, re.MULTILINE | re.DOTALL)
    package = ROOT / "flowengine"
    swallowing = {
        path.relative_to(package).as_posix()
        for path in package.rglob("*.py")
        if any(map(_is_broad_and_keeps_it, ast.walk(ast.parse(path.read_text()))))
    }
    assert swallowing == set(re.findall(r"`((?!tests/)(?:[a-z_]+/)+[a-z_]+\.py)`", passage))


def _is_broad_and_keeps_it(found: ast.AST) -> bool:
    """Whether it catches whatever comes and does not end in raising the same again."""
    if not isinstance(found, ast.ExceptHandler):
        return False
    broad = found.type is None or (
        isinstance(found.type, ast.Name) and found.type.id in ("Exception", "BaseException")
    )
    last = found.body[-1]
    return broad and not (isinstance(last, ast.Raise) and last.exc is None)
