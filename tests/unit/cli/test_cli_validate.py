"""What `flowengine validate` looks at, and what it leaves alone."""

from __future__ import annotations

import json
import os
import re
import sys
from pathlib import Path

import pytest
import yaml
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
    assert "b.yaml:1:7: not_applicable: " in result.stderr
    assert "is the name of a.yaml too" in result.stderr
    assert "c.yaml:1:7: not_applicable: a document called 'x/" in result.stderr


def test_problems_are_told_in_the_forms_of_other_programs(folder: Path) -> None:
    """Commands for GitHub, and a SARIF log: with file, line, column and code of problems and warnings."""
    (folder / "x.yaml").write_text(WITH_SECRET.replace("id: call", "id: call\n    nonsense: 1"))
    (folder / "y.yaml").write_text(WITH_SECRET)
    lines = validate("--format", "github", ".").stdout.splitlines()
    (error,) = [line for line in lines if "nonsense" in line]
    (warning,) = [line for line in lines if "y.yaml" in line]
    assert error.startswith("::error file=x.yaml,line=4,col=15,title=unknown_field::")
    assert warning.startswith("::warning file=y.yaml,line=5,col=45,title=secret_missing::there is no secret")
    printed = validate("--format", "sarif", ".")
    assert printed.exit_code == 2
    log = json.loads(printed.stdout)
    (run,) = log["runs"]
    assert (log["version"], run["tool"]["driver"]["name"]) == ("2.1.0", "flowengine")
    assert [rule["id"] for rule in run["tool"]["driver"]["rules"]] == ["secret_missing", "unknown_field"]
    found = [(result["ruleId"], result["level"]) for result in run["results"]]
    assert found[0] == ("unknown_field", "error")
    assert set(found) == {("unknown_field", "error"), ("secret_missing", "warning")}
    place = run["results"][0]["locations"][0]["physicalLocation"]
    assert place["artifactLocation"] == {"uri": "x.yaml"}
    assert place["region"] == {"startLine": 4, "startColumn": 15}


def test_a_file_whose_name_is_no_text_is_told_in_a_log(folder: Path) -> None:
    """Its bytes are escaped, as in any address."""
    (folder / os.fsdecode(b"b\xff.yaml")).write_text("name: x\n")
    (run,) = json.loads(validate("--format", "sarif", ".").stdout)["runs"]
    place = run["results"][0]["locations"][0]["physicalLocation"]
    assert place["artifactLocation"] == {"uri": "b%FF.yaml"}


def test_commands_for_github_cannot_be_written_by_a_file(folder: Path) -> None:
    """Its name and what it says stay within the command."""
    (folder / "a,b%:c.yaml").write_text('name: x\nnodes: []\n"\\n::error::%25": 1\n')
    lines = validate("--format", "github", ".").stdout.splitlines()
    assert lines
    assert all(line.startswith("::error file=a%2Cb%25%3Ac.yaml,line=") for line in lines)


def test_queue_that_nobody_serves_is_a_warning(folder: Path) -> None:
    """Of the queues that are told; without them nothing is said."""
    (folder / "good.yaml").write_text(GOOD)
    told = validate("good.yaml", "--queues", "gpu, cpu").stderr
    assert told.startswith("good.yaml:3:22: queue_not_served: its handler needs the queue 'worker'")
    assert validate("good.yaml", "--queues", "gpu,worker").stderr == "1 file valid\n"


def test_hooks_of_pre_commit_call_commands_that_there_are() -> None:
    """With options that they take, on files that they read."""
    hooks = yaml.safe_load((Path(__file__).parents[3] / ".pre-commit-hooks.yaml").read_text())
    assert [hook["id"] for hook in hooks] == ["flowengine-validate", "flowengine-fmt"]
    for hook in hooks:
        program, command = hook["entry"].split()
        assert program == "flowengine"
        assert command in tool.commands
        assert hook["language"] == "python"
        assert re.search(hook["files"], "workflows/deep/x.yaml")
        assert not re.search(hook["files"], "docs/x.yaml")
