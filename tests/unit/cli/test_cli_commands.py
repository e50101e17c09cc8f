"""Commands that need no server, through click's runner."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import msgspec
import pytest
from click.testing import CliRunner, Result

from flowengine import __version__
from flowengine.cli import tool as tool_module
from flowengine.cli.tool import CouldNotRun, tool
from flowengine.errors import WrongStateError
from flowengine.handlers.loading import load_registry
from flowengine.plugin import Handler
from flowengine.supervision.child_shutdown import FATAL_EXIT
from tests.unit.project.test_plaintext import HOSTILE

GOOD = """name: good
nodes:
  - {id: a, handler: compute, config: {operation: add, a: 1, b: 2}}
"""
BAD_YAML = """name: bad
nodes:
  - id: a
    handler: comput
    config: {operation: add, a: 1, b: 2}
    dependencies: [ghost]
"""
BAD_JSON = """{"name": "bad", "nodes": [
  {"id": "a", "handler": "compute",
   "config": {"operation": "add", "a": 1}}
]}"""


@pytest.fixture(autouse=True)
def _own_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Commands run in an empty folder: no .env, no examples."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("REDIS_URL", raising=False)
    monkeypatch.setattr(sys, "path", list(sys.path))


def run(*arguments: str) -> Result:
    """The command in this process, its two outputs apart."""
    return CliRunner().invoke(tool, arguments)


def test_version_is_printed() -> None:
    """`--version` names the program and its version."""
    assert run("--version").output == f"flowengine {__version__}\n"


def test_help_lists_every_command() -> None:
    """All commands, in the order a newcomer meets them."""
    result = run("--help")
    listed = [line.split()[0] for line in result.output.split("Commands:\n")[1].splitlines()]
    assert listed == [
        "run", "dev", "init", "validate", "test", "fmt", "import", "graph",
        "submit", "trigger", "apply", "diff",
        "definitions", "schedules", "list", "show", "results", "logs", "events",
        "cancel", "pause", "resume", "delete", "rerun", "bulk", "signal", "approve", "reject",
        "skip", "complete", "fail",
        "dead-letters", "queues", "workers", "limits", "stats", "api", "orchestrator", "worker", "handlers",
        "schema", "key", "completion", "help",
    ]  # fmt: skip


@pytest.mark.parametrize("seconds", ["0", "-1", "nan", "inf"])
def test_a_time_limit_is_a_number_of_seconds(tmp_path: Path, seconds: str) -> None:
    """NaN passed, and the run never ended."""
    (tmp_path / "x.yaml").write_text(GOOD)
    done = run("run", f"--timeout={seconds}", str(tmp_path / "x.yaml"))
    assert done.exit_code == 2
    assert "Invalid value for '--timeout'" in done.output


def test_valid_files_pass(tmp_path: Path) -> None:
    """Exit code 0, nothing on standard output, a word on standard error."""
    (tmp_path / "good.yaml").write_text(GOOD)
    result = run("validate", "good.yaml")
    assert (result.exit_code, result.stdout, result.stderr) == (0, "", "1 file valid\n")


def test_every_problem_is_a_line_that_editors_understand(tmp_path: Path) -> None:
    """file:line:column: code: message, with exit code 2."""
    (tmp_path / "bad.yaml").write_text(BAD_YAML)
    result = run("validate", "bad.yaml")
    assert result.exit_code == 2
    lines = sorted(result.stdout.splitlines())
    assert [line.split(": ")[:2] for line in lines] == [
        ["bad.yaml:4:14", "unknown_handler"],
        ["bad.yaml:6:20", "unknown_dependency"],
    ]
    assert "did you mean 'compute'" in lines[0]
    assert result.stderr == "2 problems in 1 of 1 file\n"


def test_problems_in_json_have_their_place_too(tmp_path: Path) -> None:
    """A missing field is reported where the object that lacks it begins."""
    (tmp_path / "bad.json").write_text(BAD_JSON)
    result = run("validate", "bad.json")
    assert result.stdout.startswith("bad.json:3:14: missing_field: ")


def test_malformed_json_has_its_place(tmp_path: Path) -> None:
    """A file that does not parse is one problem, where parsing stopped."""
    (tmp_path / "torn.json").write_text('{"name": "x",\n "nodes": [}')
    result = run("validate", "torn.json")
    assert result.exit_code == 2
    assert result.stdout.startswith("torn.json:2:")


def test_folders_are_searched_at_any_depth(tmp_path: Path) -> None:
    """*.yaml, *.yml and *.json; hidden folders and other files are left alone."""
    for name in ("a.yaml", "deep/b.yml", "deep/er/c.json", ".hidden/d.yaml", "notes.txt"):
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(GOOD if path.suffix != ".json" else BAD_JSON)
    result = run("validate", "--json", ".")
    files = {item["file"]: item["valid"] for item in json.loads(result.stdout)["files"]}
    assert files == {"a.yaml": True, "deep/b.yml": True, "deep/er/c.json": False}
    assert result.exit_code == 2


def test_file_that_cannot_be_read_is_a_problem(tmp_path: Path) -> None:
    """It is named with the reason; the other files are still checked."""
    (tmp_path / "good.yaml").write_text(GOOD)
    result = run("validate", "missing.yaml", "good.yaml")
    assert result.exit_code == 2
    assert result.stdout == (
        "missing.yaml:1:1: unreadable: cannot read missing.yaml: No such file or directory\n"
    )


def test_folder_without_workflows_is_no_success(tmp_path: Path) -> None:
    """A mistyped folder must not look like a passed check."""
    result = run("validate", str(tmp_path))
    assert result.exit_code == 2
    assert "no workflow files" in result.stderr


def test_handlers_are_listed_with_their_schemas() -> None:
    """--json has name, summary and the schema of the config."""
    listed = json.loads(run("handlers", "--json").stdout)
    assert [item["name"] for item in listed] == [
        "aggregate", "approval", "assert", "call_external_service", "compute", "end", "http_request",
        "llm_service", "set", "signal", "transform", "wait", "workflow",
    ]  # fmt: skip
    assert all(item["summary"] and item["config"] for item in listed)


def test_handlers_of_the_current_folder_are_found(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """FLOWENGINE_HANDLERS names modules that lie where the user stands."""
    (tmp_path / "own_handlers_of_a_test.py").write_text(
        "import msgspec\nfrom flowengine.plugin import Context, handler\n\n"
        "class Config(msgspec.Struct):\n    name: str\n\n"
        "@handler('greet')\ndef greet(config: Config, context: Context) -> object:\n"
        "    '''Says hello.'''\n    return config.name\n"
    )
    monkeypatch.setenv("FLOWENGINE_HANDLERS", "own_handlers_of_a_test")
    table = run("handlers").stdout
    assert "greet" in table
    assert "Says hello." in table


def test_schema_is_a_json_schema() -> None:
    """What editors are given."""
    schema = json.loads(run("schema").stdout)
    assert schema["$schema"] == "https://json-schema.org/draft/2020-12/schema"
    assert "nodes" in schema["properties"]


def test_new_key_is_printed_with_its_entry() -> None:
    """The key for its user, the entry for the API's setting; advice stays off standard output."""
    result = run("key", "new", "ci", "--entry")
    key, entry = (line.split()[1] for line in result.stdout.splitlines())
    assert key
    assert entry.startswith("ci.")
    assert key not in entry


@pytest.mark.parametrize("command", [("worker",), ("orchestrator",), ("api",), ("handlers",)])
def test_wrong_setting_stops_the_start(command: tuple[str, ...], monkeypatch: pytest.MonkeyPatch) -> None:
    """One line with its name and what is allowed, exit code 3, before any process is started."""
    monkeypatch.setenv("FLOWENGINE_LEASE_SECONDS", "soon")
    result = run(*command)
    assert result.exit_code == 3
    assert result.stderr.startswith("error: FLOWENGINE_LEASE_SECONDS must be ")
    assert result.stderr.count("\n") == 1


def test_wrong_usage_exits_with_2() -> None:
    """click's own code for it."""
    assert run("worker", "--processes", "none").exit_code == 2


def test_errors_of_ours_become_one_line(monkeypatch: pytest.MonkeyPatch) -> None:
    """No traceback, exit code 3."""

    def fail(*_: object) -> None:
        raise WrongStateError("it is running")

    monkeypatch.setattr("flowengine.cli.commands.handlers_and_schema._registry", fail)
    result = run("schema")
    assert (result.exit_code, result.stderr) == (3, "error: it is running\n")


def test_defects_become_one_line_that_says_where(monkeypatch: pytest.MonkeyPatch) -> None:
    """The message can be reported; a traceback is not shown."""

    def fail(*_: object) -> None:
        raise ZeroDivisionError("oh")

    monkeypatch.setattr("flowengine.cli.commands.handlers_and_schema._registry", fail)
    result = run("schema")
    assert result.exit_code == 3
    assert result.stderr.startswith("error: internal error in fail, line ")
    assert "ZeroDivisionError: oh" in result.stderr
    assert "Traceback" not in result.stderr


def test_ctrl_c_in_any_command_exits_with_130(monkeypatch: pytest.MonkeyPatch) -> None:
    """No traceback."""

    def interrupt(*_: object, **__: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("flowengine.cli.commands.handlers_and_schema._registry", interrupt)
    monkeypatch.setattr(sys, "argv", ["flowengine", "schema"])
    assert tool_module.run_tool() == 130


@pytest.mark.parametrize(
    ("program", "port"),
    [
        ("flowengine validate .", "8000"),
        ("flowengine.cli.processes.service_process worker", "wrong, so that it ends"),
        ("flowengine.cli.processes.api_process", "wrong, so that it ends"),
    ],
)
def test_nothing_of_an_untrusted_folder_is_imported(tmp_path: Path, program: str, port: str) -> None:
    """Neither the handlers that its .env names, once the environment says none, nor what libraries try."""
    ran = tmp_path / "ran"
    for name in ("mine", "colorama", "better_exceptions", "brotli", "zstandard"):
        (tmp_path / f"{name}.py").write_text(f"open({str(ran)!r}, 'a').write({name!r})")
    (tmp_path / ".env").write_text("FLOWENGINE_HANDLERS=mine\n")
    (tmp_path / "a.yaml").write_text("name: x\nnodes: []\n")
    environment = {**os.environ, "FLOWENGINE_HANDLERS": "", "FLOWENGINE_PORT": port}
    command = [sys.executable, "-P", "-m", *program.split()]
    ended = subprocess.run(command, cwd=tmp_path, env=environment, stdin=subprocess.DEVNULL, check=False)
    assert ended.returncode in (2, 3, FATAL_EXIT)
    assert not ran.exists()


def test_problems_name_what_a_document_says_without_acting_on_the_terminal(tmp_path: Path) -> None:
    """Ids in a problem, and the name of the file itself, are escaped; a problem stays one line."""
    nodes = [
        {"id": "a", "handler": f"{HOSTILE}\n", "dependencies": [HOSTILE]},
        {"id": HOSTILE, "handler": "compute"},
    ]
    file = tmp_path / "\x1b]0;pwned\x07.json"
    file.write_text(json.dumps({"name": "x", f"{HOSTILE}": 1, "nodes": nodes}))
    for arguments in (("validate", str(file)), ("validate", "--json", str(file)), ("run", str(file))):
        # Processes of their own: `run` sets up the log of the process that it is in.
        result = subprocess.run(
            [sys.executable, "-P", "-m", "flowengine", *arguments],
            capture_output=True,
            text=True,
            check=False,
        )
        assert result.returncode != 0
        assert (result.stdout + result.stderr).replace("\n", "").isprintable()
    lines = run("validate", str(file)).stdout.splitlines()
    assert lines
    assert all(line.startswith(f"{tmp_path}/\\x1b]0;pwned\\x07.json:") for line in lines)


def test_handlers_are_listed_without_acting_on_the_terminal(monkeypatch: pytest.MonkeyPatch) -> None:
    """A summary comes from the author of the handler."""
    monkeypatch.setattr("flowengine.cli.commands.handlers_and_schema._registry", lambda: [_hostile_handler()])
    for arguments in (("handlers",), ("handlers", "--json")):
        shown = run(*arguments).output
        assert "pwned" in shown
        assert shown.replace("\n", "").isprintable()


def test_a_handler_in_full_says_that_it_runs_in_a_child_process(monkeypatch: pytest.MonkeyPatch) -> None:
    """Each is a process that a worker needs memory for."""
    registry = load_registry(("tests.e2e.isolated_handlers",))
    monkeypatch.setattr("flowengine.cli.commands.handlers_and_schema._registry", lambda: registry)
    assert "runs in a child process" in run("handlers", "isolated_pid").output
    assert "runs in a child process" not in run("handlers", "compute").output


def _hostile_handler() -> Handler:
    item = next(iter(load_registry()))
    return msgspec.structs.replace(item, summary=HOSTILE)


def test_an_error_line_does_not_act_on_the_terminal(capsys: pytest.CaptureFixture[str]) -> None:
    """Whatever an error quotes; its lines stay lines."""
    CouldNotRun(f"{HOSTILE}\nsecond").show()
    shown = capsys.readouterr().err
    assert shown.endswith("\nsecond\n")
    assert shown.replace("\n", "").isprintable()


@pytest.mark.parametrize("command", ["run", "validate"])
def test_empty_path_is_refused(command: str) -> None:
    """It would mean the current directory."""
    result = run(command, "")
    assert result.exit_code == 2
    assert "the path is empty" in result.stderr


@pytest.mark.parametrize(("text", "column"), [(BAD_YAML, "4:14"), (BAD_JSON, "3:14")])
def test_dash_reads_standard_input(text: str, column: str) -> None:
    """YAML or JSON, told apart by their first character."""
    result = CliRunner().invoke(tool, ["validate", "-"], input=text)
    assert result.exit_code == 2
    assert result.stdout.startswith(f"<stdin>:{column}: ")


def test_unknown_setting_is_told_by_every_command(tmp_path: Path) -> None:
    """A typing error in .env would otherwise change nothing, silently."""
    (tmp_path / ".env").write_text("FLOWENGINE_MAX_NODE=5\n")
    (tmp_path / "good.yaml").write_text(GOOD)
    assert run("validate", "good.yaml").stderr.startswith(
        "warning: there is no setting FLOWENGINE_MAX_NODE (did you mean FLOWENGINE_MAX_NODES?): it is ignored"
    )


def test_worker_of_no_queue_is_refused() -> None:
    """An empty name is more likely an empty variable than a wish for all queues."""
    result = run("worker", "--queues", "")
    assert result.exit_code == 2
    assert "has no name" in result.stderr


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="there is no /dev/full")
def test_full_disk_is_one_line() -> None:
    """It is no defect of ours, and no success."""
    with open("/dev/full", "wb") as full:
        done = subprocess.run(
            [sys.executable, "-m", "flowengine", "schema"], stdout=full, stderr=subprocess.PIPE, text=True
        )
    assert (done.returncode, done.stderr) == (3, "error: cannot write the output: No space left on device\n")


def test_reader_that_went_away_ends_a_command_quietly() -> None:
    """As SIGPIPE would: `flowengine schema | head -1`."""
    reading, writing = os.pipe()
    os.close(reading)
    with open(writing, "wb") as pipe:
        done = subprocess.run(
            [sys.executable, "-m", "flowengine", "schema"], stdout=pipe, stderr=subprocess.PIPE, text=True
        )
    assert (done.returncode, done.stderr) == (141, "")
