"""`flowengine fmt`: what it writes, what it only tells, and its exit codes."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from flowengine.cli.tool import tool
from flowengine.settings import Limits

RIGHT = "name: x\nnodes:\n  - id: a\n    handler: set\n"
OTHER = "nodes:\n- handler: set\n  id: a\nname: x\n"


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The current folder, with a file in another layout, one in the right one, and one in JSON."""
    monkeypatch.chdir(tmp_path)
    Path("flows").mkdir()
    Path("flows/other.yaml").write_text(OTHER)
    Path("flows/right.yml").write_text(RIGHT)
    Path("flows/x.json").write_text("{}")
    return tmp_path


def fmt(*arguments: str, given: str | None = None, code: int = 0) -> Result:
    """The command in this process; it must end with this exit code."""
    result = CliRunner().invoke(tool, ["fmt", *arguments], input=given)
    assert result.exit_code == code, result.output
    return result


def test_files_in_another_layout_are_written() -> None:
    """With the rights that they had; a second time there is nothing to do."""
    os.chmod("flows/other.yaml", 0o640)
    done = fmt("flows")
    assert done.stdout == "formatted flows/other.yaml\n"
    assert done.stderr == "1 formatted, 1 in order already\n"
    assert Path("flows/other.yaml").read_text() == RIGHT
    assert Path("flows/other.yaml").stat().st_mode & 0o777 == 0o640
    assert sorted(path.name for path in Path("flows").iterdir()) == ["other.yaml", "right.yml", "x.json"]
    again = fmt("flows")
    assert (again.stdout, again.stderr) == ("", "2 in order already\n")


def test_check_writes_nothing() -> None:
    """Exit code 1 where a file has another layout, 0 where none has."""
    done = fmt("--check", "flows", code=1)
    assert done.stdout == "would format flows/other.yaml\n"
    assert Path("flows/other.yaml").read_text() == OTHER
    fmt("--check", "flows/right.yml")


def test_standard_input_goes_to_standard_output() -> None:
    """As editors call it."""
    assert fmt("-", given=OTHER).stdout == RIGHT
    assert fmt("-", "--check", given=OTHER, code=1).stdout == ""


def test_file_that_is_no_workflow_in_yaml_is_told_with_its_place() -> None:
    """The others are formatted; exit code 2."""
    Path("flows/bad.yaml").write_text("a: &b 1\n")
    done = fmt("flows", code=2)
    assert done.stdout.splitlines()[0].startswith("flows/bad.yaml:1:4: yaml_anchor: ")
    assert Path("flows/other.yaml").read_text() == RIGHT
    named = fmt("flows/x.json", code=2)
    assert "this is JSON" in named.stdout


def test_file_larger_than_a_workflow_may_be_is_left_alone() -> None:
    """It would be cut."""
    large = "#" * (Limits().max_body_bytes + 1)
    Path("flows/other.yaml").write_text(large)
    assert "larger than a workflow may be" in fmt("flows/other.yaml", code=3).stderr
    assert Path("flows/other.yaml").read_text() == large


def test_link_is_followed_and_stays_a_link() -> None:
    """What it leads to is written."""
    Path("link.yaml").symlink_to("flows/other.yaml")
    fmt("link.yaml")
    assert Path("link.yaml").is_symlink()
    assert Path("flows/other.yaml").read_text() == RIGHT


def test_link_that_leads_out_of_its_folder_is_left_alone(tmp_path_factory: pytest.TempPathFactory) -> None:
    """`fmt *.yaml` names it too, in a checkout of somebody else's."""
    outside = tmp_path_factory.mktemp("outside") / "other.yaml"
    outside.write_text(OTHER)
    Path("link.yaml").symlink_to(outside)
    for option in ([], ["--check"]):
        done = fmt("link.yaml", *option, code=2)
        assert done.stdout.startswith("link.yaml:1:1: not_formattable: it is a link that leads out")
    assert outside.read_text() == OTHER


@pytest.mark.parametrize("text", ["root:x:0:0:root\ndaemon:x:1\n", "- a\n-   b\n", "12\n", "x:0\n\n\ny:1\n"])
def test_file_that_is_no_object_is_left_alone(text: str) -> None:
    """YAML takes almost any text for a text, and its lines would become one."""
    Path("list.yaml").write_text(text)
    done = fmt("list.yaml", code=2)
    assert "not_formattable: this is no workflow" in done.stdout
    assert Path("list.yaml").read_text() == text


def test_folder_that_cannot_be_written_is_one_clear_line(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing is left there but what was."""

    def fail(*paths: object) -> None:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(os, "replace", fail)
    assert fmt("flows", code=3).stderr == "error: cannot write flows/other.yaml: Permission denied\n"
    assert sorted(path.name for path in Path("flows").iterdir()) == ["other.yaml", "right.yml", "x.json"]
