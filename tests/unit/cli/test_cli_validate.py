"""What `flowengine validate` looks at, and what it leaves alone."""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from flowengine.cli.tool import tool

GOOD = "name: good\nnodes:\n  - {id: a, handler: compute, config: {operation: add, a: 1, b: 2}}\n"
WITH_SECRET = """name: x
nodes:
  - id: call
    handler: http_request
    config: {url: "http://x/", headers: {A: "{{ secrets.TOKEN }}", B: "{{ secrets.TOKEN }}"}}
"""


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty folder in which the command runs."""
    here = tmp_path / "here"
    here.mkdir()
    monkeypatch.chdir(here)
    monkeypatch.setattr(sys, "path", list(sys.path))
    return here


def validate(*arguments: str) -> Result:
    """The command in this process, its two outputs apart."""
    return CliRunner().invoke(tool, ["validate", *arguments])


def test_link_that_leaves_the_folder_is_skipped_with_a_word(folder: Path) -> None:
    """Its target is not read, so no part of it is quoted; links within the folder are followed."""
    secret = folder.parent / "secret.yaml"
    secret.write_text("password: hunter2\n")
    (folder / "good.yaml").write_text(GOOD)
    (folder / "out.yaml").symlink_to(secret)
    (folder / "in.yaml").symlink_to("good.yaml")
    (folder / "gone.yaml").symlink_to(folder.parent / "nothing.yaml")
    (folder / "away").symlink_to(folder.parent)
    result = validate(".")
    assert result.exit_code == 0, result.output
    assert "hunter2" not in result.output
    assert result.stderr.splitlines() == [
        "skipped gone.yaml: it is a link that leads out of the folder",
        "skipped out.yaml: it is a link that leads out of the folder",
        "2 files valid",
    ]


def test_folder_behind_a_link_is_looked_at_when_it_is_named(folder: Path) -> None:
    """A person who names it means it; so with a file."""
    other = folder.parent / "other"
    other.mkdir()
    (other / "good.yaml").write_text(GOOD)
    (folder / "link").symlink_to(other)
    (folder / "file.yaml").symlink_to(other / "good.yaml")
    assert validate("link", "file.yaml").stderr == "2 files valid\n"


@pytest.mark.parametrize("form", ["pipe", "device", "folder"])
def test_what_is_no_regular_file_is_not_waited_for(folder: Path, form: str) -> None:
    """A pipe nobody writes to, a device without an end."""
    name = "x.yaml"
    if form == "pipe":
        os.mkfifo(folder / name)
    elif form == "device":
        name = "/dev/zero"
    else:
        (folder / name).mkdir()
        assert "no workflow files" in validate(name).stderr
        return
    assert validate(name).stdout == f"{name}:1:1: unreadable: cannot read {name}: it is no regular file\n"
    assert "no workflow files" in validate(".").stderr


def test_settings_that_it_does_not_need_are_not_read(folder: Path) -> None:
    """A `.env` of somebody else names files and wrong values; the limits in it count."""
    os.mkfifo(folder / "pipe")
    (folder / ".env").write_text(
        "REDIS_URL_FILE=/dev/zero\nLLM_API_KEY_FILE=pipe\nFLOWENGINE_PORT=wrong\n"
        "FLOWENGINE_SECRET_TOKEN_FILE=pipe\nFLOWENGINE_MAX_NODES=1\n"
    )
    (folder / "good.yaml").write_text(GOOD)
    (folder / "secret.yaml").write_text(WITH_SECRET)
    result = validate(".")
    assert (result.exit_code, result.stderr) == (0, "2 files valid\n")
    (folder / "good.yaml").write_text(GOOD + "  - {id: b, handler: compute}\n")
    assert "the limit is 1 (FLOWENGINE_MAX_NODES)" in validate("good.yaml").stdout


def test_secret_that_is_not_here_is_a_warning(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """With its place, once; the file is valid, since other workers may have the secret."""
    (folder / "x.yaml").write_text(WITH_SECRET)
    result = validate("x.yaml")
    assert (result.exit_code, result.stdout) == (0, "")
    assert result.stderr.startswith(
        "x.yaml:5:45: secret_missing: there is no secret 'TOKEN' here: "
        "the workers need FLOWENGINE_SECRET_TOKEN or FLOWENGINE_SECRET_TOKEN_FILE (a warning)\n"
    )
    (told,) = json.loads(validate("--json", "x.yaml").stdout)["files"]
    assert (told["valid"], [warning["code"] for warning in told["warnings"]]) == (True, ["secret_missing"])
    monkeypatch.setenv("FLOWENGINE_SECRET_TOKEN", "abcd")
    assert validate("x.yaml").stderr == "1 file valid\n"


def test_what_cannot_be_applied_together_is_a_warning(folder: Path) -> None:
    """Two workflows of one name, unless they are the same, and a name that no definition can have."""
    (folder / "a.yaml").write_text(GOOD)
    (folder / "b.yaml").write_text(f"# the same\n{GOOD}")
    assert validate(".").stderr == "2 files valid\n"
    (folder / "b.yaml").write_text(GOOD.replace("id: a", "id: other"))
    (folder / "c.yaml").write_text(GOOD.replace("name: ", "name: x/", 1))
    result = validate(".")
    assert result.exit_code == 0
    assert "b.yaml:1:1: not_applicable: " in result.stderr
    assert "is the name of a.yaml too" in result.stderr
    assert "c.yaml:1:1: not_applicable: a document called 'x/" in result.stderr
