"""`flowengine run` on a terminal: what moves, what colours, and what is left behind."""

from __future__ import annotations

import re
import sys
from pathlib import Path

import pytest

from tests.e2e.terminal import Terminal

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="a pseudo-terminal as Linux has it")

WORKFLOW = """name: on a terminal
nodes:
  - {id: first, handler: compute, config: {operation: add, a: 1, b: 2}}
  - {id: waits, handler: test_wait, config: {seconds: %s}, dependencies: [first]}
  - {id: last, handler: compute, config: {operation: divide, a: 1, b: 0}, dependencies: [waits]}
"""
HANDLERS = "tests.e2e.odd_handlers"
HIDE_CURSOR, SHOW_CURSOR = "\x1b[?25l", "\x1b[?25h"
SEQUENCE = re.compile(r"\x1b\[([?0-9;]*)([A-Za-z])")


def sequences(shown: str) -> list[tuple[str, str]]:
    """The control sequences, each as its parameters and its letter (ECMA-48, section 5.4)."""
    found = SEQUENCE.findall(shown)
    assert len(found) == shown.count("\x1b"), "every escape is a control sequence"
    return found


def lines_of(shown: str) -> list[str]:
    """The text without control sequences, by line."""
    return [line.rstrip() for line in SEQUENCE.sub("", shown).replace("\r", "").splitlines()]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A folder with a short workflow that fails in the end, and one that does not end."""
    (tmp_path / "short.yaml").write_text(WORKFLOW % "3")
    (tmp_path / "long.yaml").write_text(WORKFLOW % "600")
    return tmp_path


def test_table_is_redrawn_in_place_in_colours(folder: Path) -> None:
    """A bar and a row a node, which change where they stand; then results, errors and a closing line."""
    with Terminal(folder, "run", "short.yaml", FLOWENGINE_HANDLERS=HANDLERS) as terminal:
        assert terminal.wait() == 1
        shown = terminal.shown
    assert "Traceback" not in shown
    letters = {letter for _, letter in sequences(shown)}
    assert {"m", "A", "K"} <= letters, "colours, the cursor up, a line erased"
    rows = lines_of(shown)
    assert any(re.match(r"running +waits +test_wait", row) for row in rows)
    assert any(re.match(r"completed +waits +test_wait", row) for row in rows)
    assert any(re.search(r"on a terminal .* 1/3", row) for row in rows)
    assert 'first  {"result":3}' in rows
    assert rows[-1].startswith("failed: on a terminal, 3 nodes, 1 failed")
    assert shown.rindex(SHOW_CURSOR) > shown.rindex(HIDE_CURSOR)


def test_no_color_leaves_only_what_moves_the_cursor(folder: Path) -> None:
    """NO_COLOR (no-color.org): no colour, and nothing bold or dim either."""
    with Terminal(folder, "run", "short.yaml", FLOWENGINE_HANDLERS=HANDLERS, NO_COLOR="1") as terminal:
        assert terminal.wait() == 1
        shown = terminal.shown
    assert {letter for _, letter in sequences(shown)} <= set("AKhl")
    assert any(re.match(r"completed +waits", row) for row in lines_of(shown))


@pytest.mark.parametrize(
    "arguments", [("help", "settings"), ("handlers",), ("run", "none.yaml"), ("validate", "short.yaml")]
)
def test_no_color_holds_for_every_command(folder: Path, arguments: tuple[str, ...]) -> None:
    """Also for their errors."""
    with Terminal(folder, *arguments, NO_COLOR="1") as terminal:
        terminal.wait()
        assert [letter for _, letter in sequences(terminal.shown) if letter == "m"] == []


def test_what_a_handler_prints_stands_above_the_table(folder: Path) -> None:
    """Whole and on lines of its own, whatever its length; results are whole too."""
    long = "x" * 300
    (folder / "print.yaml").write_text(
        "name: prints\nnodes:\n"
        "  - {id: says, handler: print_it, config: {text: " + long + "}}\n"
        "  - {id: waits, handler: test_wait, config: {seconds: 0.5}, dependencies: [says]}\n"
    )
    (folder / "printing.py").write_text(
        "import msgspec\nfrom flowengine.plugin import Context, handler\n\n"
        "class Text(msgspec.Struct):\n    text: str\n\n"
        "@handler('print_it')\ndef print_it(config: Text, context: Context) -> dict[str, str]:\n"
        "    print('said', config.text, '\\u2192')\n    return {'result': config.text}\n"
    )
    modules = f"{HANDLERS},printing"
    with Terminal(folder, "run", "print.yaml", FLOWENGINE_HANDLERS=modules) as terminal:
        assert terminal.wait() == 0, terminal.shown
        rows = lines_of(terminal.shown)
    assert any(row.endswith(f"said {long} \u2192") for row in rows)
    assert f'says  {{"result":"{long}"}}' in rows


def test_dumb_terminal_gets_lines_and_no_sequence(folder: Path) -> None:
    """A terminal that cannot move its cursor gets the output that a file gets."""
    with Terminal(folder, "run", "short.yaml", FLOWENGINE_HANDLERS=HANDLERS, TERM="dumb") as terminal:
        assert terminal.wait() == 1
        shown = terminal.shown
    assert "\x1b" not in shown
    assert any(re.match(r"completed +waits", row) for row in lines_of(shown))


def test_ctrl_c_gives_the_cursor_back(folder: Path) -> None:
    """Ctrl-C while the table is shown: exit code 130, no traceback, and the cursor is visible again."""
    with Terminal(folder, "run", "long.yaml", FLOWENGINE_HANDLERS=HANDLERS) as terminal:
        terminal.await_text("waits")
        assert terminal.shown.rfind(HIDE_CURSOR) > terminal.shown.rfind(SHOW_CURSOR)
        terminal.press_ctrl_c()
        assert terminal.wait(20) == 130
        shown = terminal.shown
    assert shown.rindex(SHOW_CURSOR) > shown.rindex(HIDE_CURSOR)
    assert "Traceback" not in shown
    assert "test_wait" in shown
