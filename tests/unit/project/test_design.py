"""DESIGN.md keeps its promises: what it names is there, and what it promises is proved."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[3]
ROW = re.compile(r"\| `([a-z]+(?:-[a-z]+)*)` \| [^|]+ \| [^|]+ \|")
HEAD = re.compile(r"\| id \| when \| then \||\|(?: --- \|){3}")
FILE = re.compile(r"`((?:[\w.-]+/)*[\w-]+\.py)`")


def test_every_row_of_the_tables_has_an_id_of_its_own() -> None:
    """A row of section 6 says when and what, and has a name that tests can give."""
    rows = [line for line in _faults().splitlines() if line.startswith("|") and not HEAD.fullmatch(line)]
    assert [row for row in rows if not ROW.fullmatch(row)] == []
    ids = ROW.findall(_faults())
    assert len(ids) > 20
    assert sorted(set(ids)) == sorted(ids)


def test_every_row_of_the_tables_is_proved_and_every_proof_has_a_row() -> None:
    """A row without a test is a mere claim. A test that names no row has a slip in its id."""
    promised = set(ROW.findall(_faults()))
    proved = {name for path in _files_of_tests() for name in _proofs(path.read_text(), path.name)}
    assert promised - proved == set(), "rows without a test"
    assert proved - promised == set(), "ids without a row"


def test_several_ids_and_several_marks_are_read() -> None:
    """A test may prove several rows, and carry other marks."""
    source = '@mark.proves("a", "b")\n@mark.slow\n@mark.proves("c")\ndef test_x(): ...\ndef test_y(): ...'
    assert _proofs(source) == ["a", "b", "c"]


@pytest.mark.parametrize(
    "source",
    [
        "@mark.proves\ndef test_x(): ...",
        "@mark.proves()\ndef test_x(): ...",
        "@mark.proves(ID)\ndef test_x(): ...",
        '@mark.proves(id="a")\ndef test_x(): ...',
        '@mark.proves("a")\ndef build(): ...',
        'pytestmark = mark.proves("a")',
        'CASES = [param(1, marks=mark.proves("a"))]',
    ],
)
def test_a_mark_that_cannot_be_read_here_is_refused(source: str) -> None:
    """The files are not imported: an id that is no text above a test would be overlooked."""
    with pytest.raises(ValueError, match="line"):
        _proofs(source)


def test_every_file_that_design_names_exists() -> None:
    """Its paths begin in the package, or at the root of the project."""
    named = FILE.findall(_design())
    missing = [name for name in named if not any((at / name).is_file() for at in (ROOT, ROOT / "flowengine"))]
    assert len(named) > 20
    assert missing == []


def test_every_broad_except_stands_where_design_says() -> None:
    """Everywhere else an unexpected error is nobody's business but its caller's."""
    (passage,) = re.findall(
        r"^\* \*\*A broad `except`\*\*.*?(?=^\* |\Z)", _design(), re.MULTILINE | re.DOTALL
    )
    package = ROOT / "flowengine"
    swallowing = {
        path.relative_to(package).as_posix()
        for path in package.rglob("*.py")
        if any(map(_is_broad_and_keeps_it, ast.walk(ast.parse(path.read_text()))))
    }
    assert swallowing == {name for name in FILE.findall(passage) if not name.startswith("tests/")}


def _design() -> str:
    return (ROOT / "DESIGN.md").read_text()


def _faults() -> str:
    """Section 6."""
    text = _design()
    return text[text.index("## 6. What happens when") :].split("\n## ")[0]


def _files_of_tests() -> Iterator[Path]:
    """Where pytest looks for tests."""
    return (path for path in (ROOT / "tests").rglob("test_*.py") if "benchmarks" not in path.parts)


def _proofs(source: str, file: str = "a file") -> list[str]:
    """The ids that the tests in one file say they prove.

    Raises ValueError for a `proves` that is no decorator of a test, or does not list its ids as text.
    """
    tree = ast.parse(source)
    decorators = (
        decorator
        for function in ast.walk(tree)
        if isinstance(function, ast.FunctionDef) and function.name.startswith("test_")
        for decorator in function.decorator_list
    )
    read = {id(call.func): _texts(call) for call in decorators if isinstance(call, ast.Call)}
    marks = [node for node in ast.walk(tree) if isinstance(node, ast.Attribute) and node.attr == "proves"]
    for mark in marks:
        if not read.get(id(mark)):
            raise ValueError(
                f"{file}, line {mark.lineno}: `proves` stands above a test, with its ids as text"
            )
    return [text for mark in marks for text in read[id(mark)]]


def _texts(call: ast.Call) -> list[str]:
    """Its arguments; none if one of them is no text."""
    given = [item.value if isinstance(item, ast.Constant) else None for item in call.args]
    texts = [value for value in given if isinstance(value, str)]
    return texts if len(texts) == len(given) and not call.keywords else []


def _is_broad_and_keeps_it(found: ast.AST) -> bool:
    """Whether it catches whatever comes and does not end in raising the same again."""
    if not isinstance(found, ast.ExceptHandler):
        return False
    broad = found.type is None or (
        isinstance(found.type, ast.Name) and found.type.id in ("Exception", "BaseException")
    )
    last = found.body[-1]
    return broad and not (isinstance(last, ast.Raise) and last.exc is None)
