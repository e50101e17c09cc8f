"""`apply`, `diff`, `definitions` and `submit NAME`, on the real API over a store in memory."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest
from click.testing import CliRunner, Result
from structlog.testing import capture_logs

from flowengine.cli.tool import tool
from flowengine.errors import StoreUnavailableError
from tests.support.servers.served_api import ServedApi, served_api


@pytest.fixture
def api(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[ServedApi]:
    """An API that the commands find by FLOWENGINE_URL, and a folder of workflows."""
    monkeypatch.chdir(tmp_path)
    for name in ("FLOWENGINE_KEY", "FLOWENGINE_FAULT_EXAMPLES"):  # the tool warns of what is no setting
        monkeypatch.delenv(name, raising=False)
    Path("flows/deep").mkdir(parents=True)
    with capture_logs(), served_api() as served:  # it logs to the standard output of this process
        monkeypatch.setenv("FLOWENGINE_URL", f"http://127.0.0.1:{served.port}")
        yield served


def run(*arguments: str, code: int = 0) -> Result:
    """The command in this process, its two outputs apart; it must end with this exit code."""
    result = CliRunner().invoke(tool, arguments)
    assert result.exit_code == code, result.output
    return result


def write(name: str, *nodes: str, text: str = "x", path: str | None = None, comment: str = "") -> Path:
    """A file with a workflow of this name."""
    listed = "".join(
        f"  - id: {node}\n    handler: echo\n    config: {{text: {text}}}\n" for node in nodes or ("a",)
    )
    file = Path(path or f"flows/{name}.yaml")
    file.write_text(f"{comment}name: {name}\nnodes:\n{listed}")
    return file


def versions(api: ServedApi) -> dict[str, int]:
    """What is in force."""
    kept = api.store.definition_store.names
    return {name: found.current.number for name, found in kept.items() if found.current is not None}


def test_a_folder_is_applied_and_what_it_changes_is_shown(api: ServedApi) -> None:
    """New at first, then nothing, then what differs, node by node."""
    write("one", "a", "b")
    write("two", path="flows/deep/two.yml")
    Path("flows/one.test.yaml").write_text("workflow: one.yaml\n")
    done = run("apply", "flows")
    assert done.stdout == "new: two, version 1\nnew: one, version 1\n"
    assert done.stderr == "2 new\n"
    assert versions(api) == {"one": 1, "two": 1}
    again = run("apply", "flows")
    assert (again.stdout, again.stderr) == ("", "2 the same\n")
    write("one", "a", "c", text="y")
    done = run("apply", "flows")
    assert done.stdout == (
        "changed: one, version 1 -> 2\n"
        '  ~ node a config.text: "x" -> "y"\n'
        "  + node c (echo)\n"
        "  - node b (echo)\n"
    )
    assert (done.stderr, versions(api)) == ("1 changed, 1 the same\n", {"one": 2, "two": 1})


def test_a_comment_is_no_version_and_is_kept(api: ServedApi) -> None:
    """The text in force is the newest."""
    write("one")
    run("apply", "flows")
    write("one", comment="# a word\n")
    assert run("apply", "flows").stdout == "rewritten: one says the same in another text, version 1\n"
    assert run("definitions", "document", "one").stdout.startswith("# a word\n")
    assert run("apply", "flows").stderr == "1 the same\n"


@pytest.mark.proves("definition-wrong-file")
def test_one_wrong_file_and_nothing_is_applied(api: ServedApi) -> None:
    """All problems of all files are told, with their lines; so are two files of one name."""
    write("one")
    write("two").write_text("name: two\nnodes:\n  - id: a\n    handler: ecko\n")
    write("three", path="flows/deep/three.yaml").write_text("name: [\n")
    told = run("apply", "flows", code=2).stderr
    assert "flows/two.yaml:4:14: unknown_handler: no handler called 'ecko'; did you mean 'echo'?" in told
    assert "flows/deep/three.yaml:2:1: malformed_yaml: " in told
    assert versions(api) == {}
    for name in ("two", "deep/three"):
        Path(f"flows/{name}.yaml").unlink()
    again = write("one", text="y", path="flows/deep/again.yaml")
    told = run("apply", "flows", code=2).stderr
    assert "flows/one.yaml:1:1: duplicate_name: 'one' is the name of flows/deep/again.yaml too" in told
    assert versions(api) == {}
    again.write_text("# the same\n" + Path("flows/one.yaml").read_text())
    assert run("apply", "flows").stderr == "1 new\n"
    assert run("apply", "flows").stderr == "1 the same\n"


def test_nothing_is_done_where_it_is_only_asked(api: ServedApi) -> None:
    """By a dry run, and by `diff`, whose exit code tells."""
    write("one")
    assert run("apply", "flows", "--dry-run").stderr == "1 would be new\n"
    assert run("diff", "flows", code=1).stdout == "new: one, version 1\n"
    assert versions(api) == {}
    run("apply", "flows")
    assert run("diff", "flows").stdout == ""
    (line,) = run("diff", "flows", "--json").stdout.splitlines()
    assert json.loads(line) == {
        "name": "one",
        "change": "same",
        "version": 1,
        "becomes": 1,
        "file": "flows/one.yaml",
    }


def test_only_prune_deletes(api: ServedApi) -> None:
    """What no file has; not where there are no files at all."""
    write("one")
    write("two")
    run("apply", "flows")
    Path("flows/two.yaml").unlink()
    assert run("apply", "flows").stderr == "1 the same\n"
    assert run("diff", "flows", "--prune", code=1).stdout == "deleted: two, version 1\n"
    assert run("apply", "flows", "--prune", "--dry-run").stderr == "1 would be deleted, 1 the same\n"
    assert versions(api) == {"one": 1, "two": 1}
    assert run("apply", "flows", "--prune").stdout == "deleted: two, version 1\n"
    assert versions(api) == {"one": 1}
    Path("flows/one.yaml").unlink()
    assert "no workflow files there" in run("apply", "flows", "--prune", code=2).stderr
    assert versions(api) == {"one": 1}


def test_many_files_go_in_several_requests(api: ServedApi) -> None:
    """And a problem is told of the right one."""
    for number in range(230):
        write(f"w{number:03}")
    assert run("apply", "flows").stderr == "230 new\n"
    assert len(versions(api)) == 230
    write("w205").write_text("name: w205\nnodes: []\n")
    assert "flows/w205.yaml:2:8: empty_workflow" in run("apply", "flows", code=2).stderr


def test_a_stack_that_fails_in_the_middle_is_told_of(api: ServedApi) -> None:
    """With exit code 3; run again, what is left is applied."""
    for number in range(40):
        write(f"w{number:02}")
    seen: list[int] = []

    def fail_later() -> None:
        seen.append(1)
        if len(seen) > 10:
            raise StoreUnavailableError("Redis does not answer")

    api.store.before = fail_later
    assert "Redis does not answer" in run("apply", "flows", code=3).stderr
    api.store.before = lambda: None
    assert 0 < len(versions(api)) < 40
    run("apply", "flows")
    assert versions(api) == {f"w{number:02}": 1 for number in range(40)}


def test_json_and_yaml_that_begins_with_a_brace_are_applied(api: ServedApi) -> None:
    """Each in its form."""
    document = {"name": "one", "nodes": [{"id": "a", "handler": "echo"}]}
    Path("flows/one.json").write_text(json.dumps(document))
    Path("flows/two.yaml").write_text("{name: two, nodes: [{id: a, handler: echo}]}")
    assert run("apply", "flows").stderr == "2 new\n"
    assert versions(api) == {"one": 1, "two": 1}


def test_definitions_are_listed_shown_and_deleted(api: ServedApi, monkeypatch: pytest.MonkeyPatch) -> None:
    """A deletion asks before."""
    assert "Nothing is applied" in run("definitions").stderr
    write("one")
    run("apply", "flows")
    write("one", "a", "b")
    run("apply", "flows")
    assert run("definitions").stdout.startswith("one\t2\t2\t")
    assert json.loads(run("definitions", "--json").stdout)["version"] == 2
    listed = run("definitions", "versions", "one").stdout.splitlines()
    assert [line.split("\t")[:3] for line in listed] == [["2", "yes", "2"], ["1", "", "1"]]
    assert "id: b" not in run("definitions", "document", "one", "--version", "1").stdout
    changed = run("definitions", "changes", "one").stdout
    assert changed == "one, version 1 -> 2\n  + node b (echo)\n"
    back = run("definitions", "changes", "one", "--version", "1", "--since", "2").stdout
    assert back == "one, version 2 -> 1\n  - node b (echo)\n"
    assert "the first that is kept" in run("definitions", "changes", "one", "--version", "1").stderr
    assert json.loads(run("definitions", "changes", "one", "--json").stdout)["since"] == 1
    assert "say --yes" in run("definitions", "delete", "one", code=2).stderr
    monkeypatch.setattr("flowengine.cli.stack.definitions.listing.can_ask", lambda: True)
    refused = CliRunner().invoke(tool, ["definitions", "delete", "one"], input="n\n")
    assert (refused.exit_code, versions(api)) == (3, {"one": 2})
    assert run("definitions", "delete", "one", "--yes").stdout == "deleted: one\n"
    assert versions(api) == {}
    assert "definition" in run("definitions", "document", "one", code=3).stderr


def test_a_definition_is_started_by_its_name(api: ServedApi) -> None:
    """With inputs as its schema reads them, and of an earlier version where that is asked for."""
    file = Path("flows/nightly.yaml")
    text = "name: nightly\ninputs:\n  day: {type: string}\nnodes:\n  - {id: a, handler: echo}\n"
    file.write_text(text)
    run("apply", "flows")
    execution = run("submit", "nightly", "--input", "day=5", "--label", "by=me").stdout.strip()
    assert (api.store.stored[execution].inputs, api.store.stored[execution].labels) == (
        {"day": "5"},
        {"by": "me"},
    )
    file.write_text(text.replace("string", "integer"))
    run("apply", "flows")
    newer = json.loads(run("submit", "nightly", "--input", "day=5", "--json").stdout)
    assert (newer["version"], api.store.stored[newer["execution_id"]].inputs) == (2, {"day": 5})
    older = json.loads(run("submit", "nightly", "--version", "1", "--input", "day=5", "--json").stdout)
    assert older["version"] == 1
    assert "inputs_invalid" in run("submit", "nightly", "--json", code=2).stdout
    assert "no definition is applied as 'nightli'" in run("submit", "nightli", code=3).stderr
    assert "cannot read nightly.yml" in run("submit", "nightly.yml", code=3).stderr
