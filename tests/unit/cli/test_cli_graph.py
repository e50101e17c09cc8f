"""What `flowengine graph` draws, where it writes, and what it says of files that it cannot draw."""

from __future__ import annotations

import sys
from pathlib import Path
from xml.etree import ElementTree

import pytest
from click.testing import CliRunner, Result

from flowengine.cli.tool import tool
from tests.support.documents import EXAMPLES

ROOT = Path(__file__).parents[3]
GOOD = """\
name: Two <steps>
nodes:
  - {id: a, handler: compute, config: {operation: add, a: 1, b: 2}}
  - {id: b, handler: set, config: {value: "{{ a.result }}"}, dependencies: [a], when: "{{ a.result > 2 }}"}
finally:
  - {id: c, handler: set, config: {value: 1}}
"""
BAD = "name: x\nnodes:\n  - {id: a, handler: computer, config: {}}\n"


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with a workflow that is right and one that is not."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", list(sys.path))
    (tmp_path / "good.yaml").write_text(GOOD)
    (tmp_path / "bad.yaml").write_text(BAD)
    return tmp_path


def graph(*arguments: str, given: str = "") -> Result:
    """The command in this process, its two outputs apart."""
    return CliRunner().invoke(tool, ["graph", *arguments], input=given)


def texts(svg: str) -> list[str]:
    """What stands in a picture."""
    return [
        element.text or "" for element in ElementTree.fromstring(svg).iter() if element.tag.endswith("text")
    ]


def test_svg_is_printed() -> None:
    """Nodes with their handlers, the lane of a hook, and nothing else on standard output."""
    drawn = graph("good.yaml")
    assert (drawn.exit_code, drawn.stderr) == (0, "")
    assert texts(drawn.stdout)[:5] == ["finally", "a", "compute", "b", "set"]
    assert "Two &lt;steps&gt;" in drawn.stdout


def test_mermaid_is_printed() -> None:
    """One line a node and an edge."""
    drawn = graph("good.yaml", "--format", "mermaid")
    assert drawn.exit_code == 0
    assert '  n0["a<br>compute"]' in drawn.stdout.splitlines()
    assert '  n0 -->|"when a.result #62; 2"| n1' in drawn.stdout.splitlines()


def test_picture_is_written_to_a_file(folder: Path) -> None:
    """In UTF-8, with a word on standard error."""
    drawn = graph("good.yaml", "-o", "good.svg")
    assert (drawn.exit_code, drawn.stdout, drawn.stderr) == (0, "", "wrote good.svg\n")
    assert (folder / "good.svg").read_text() == graph("good.yaml").stdout


def test_file_that_cannot_be_written_is_said_in_a_line(folder: Path) -> None:
    """Exit code 3: it could not run."""
    drawn = graph("good.yaml", "-o", "nowhere/good.svg")
    assert (drawn.exit_code, drawn.stdout) == (3, "")
    assert "cannot write nowhere/good.svg: No such file" in drawn.stderr


def test_problems_are_told_as_by_validate() -> None:
    """The same lines, on standard error: standard output is the picture's."""
    drawn = graph("bad.yaml")
    told = CliRunner().invoke(tool, ["validate", "bad.yaml"])
    assert (drawn.exit_code, drawn.stdout) == (2, "")
    assert drawn.stderr == told.stdout


def test_missing_file_is_a_problem_as_for_validate() -> None:
    """With its name."""
    drawn = graph("missing.yaml")
    assert drawn.exit_code == 2
    assert drawn.stderr.startswith("missing.yaml:1:1: unreadable: cannot read missing.yaml")


def test_standard_input_is_drawn() -> None:
    """`-` stands for it."""
    assert graph("-", given=GOOD).stdout == graph("good.yaml").stdout


@pytest.mark.parametrize("path", EXAMPLES, ids=lambda path: path.name)
def test_every_example_is_drawn(path: Path) -> None:
    """In both forms."""
    assert texts(graph(str(path)).stdout)
    assert graph(str(path), "--format", "mermaid").stdout.splitlines()[1].startswith("flowchart ")
