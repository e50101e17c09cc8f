"""The reference's commands, run as they are written."""

from __future__ import annotations

import json
import re
import shlex
import shutil
import subprocess
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import httpx
import jsonschema
import pytest
import redis
import yaml

from flowengine.queues import stream_key
from tests.e2e.docs.conftest import WAIT_S, Shell, finished
from tests.e2e.docs.markdown_files import ALL, TOPICS, agrees, installed
from tests.support.rigs.stack_processes import FLOWENGINE, ROOT, Process, clean_environment
from tests.support.servers.valkey import Valkey
from tests.support.waiting import wait_until

BUILT_IN = (
    "call_external_service",
    "http_request",
    "llm_service",
    "compute",
    "transform",
    "aggregate",
    "set",
    "workflow",
    "assert",
    "end",
    "wait",
    "signal",
    "approval",
)

needs_curl = pytest.mark.skipif(shutil.which("curl") is None, reason="curl is not installed here")


@needs_curl
def test_curl_commands_of_the_api_answer_as_shown(dev_url: str, shell: Shell) -> None:
    """From create to events and lines: with the fields that the page shows or names."""
    execution, answers = "", list[Any]()
    for command in TOPICS["api"].commands:
        command = command.replace("http://127.0.0.1:8000", dev_url).replace("1a20...", execution)
        printed = shell(command).stdout
        if "text/event-stream" in command:
            assert "event: event\ndata: " in printed
            assert printed.count("execution_finished") == 1
            continue
        if command.endswith("/document"):
            assert printed == (ROOT / "workflows/linear_dag.yaml").read_text()
            continue
        if "/workflows/bulk" in command:
            assert json.loads(printed)["dry_run"], printed
            continue
        answers.append(json.loads(printed))
        execution = execution or answers[0]["execution_id"]
        if "/trigger/" in command:
            finished(dev_url, execution)
    created, checked, triggered, repeatable, waited, status, one_node, listed, results, events, lines = (
        answers
    )
    *shown, shown_node, _, shown_results, shown_events, shown_lines = TOPICS["api"].answers
    assert listed == {"items": [], "next_cursor": None}, "nothing here has failed"
    asked = (created, checked, triggered, repeatable, waited, one_node, results, events, lines)
    pairs = zip((*shown, shown_node, shown_results, shown_events, shown_lines), asked, strict=True)
    assert [agrees(*pair) for pair in pairs] == [True] * len(asked)
    told = [code for code in TOPICS["api"].inline if re.fullmatch("[a-z_]+", code)]
    assert [name for name in (*status, *status["nodes"][0]) if name not in told] == []


def test_inputs_are_given_on_the_command_line(shell: Shell) -> None:
    """The command that the page on inputs shows."""
    (command,) = TOPICS["inputs"].commands
    done = shell(f"{command} --json")
    assert done.returncode == 0, done.stdout
    assert json.loads(done.stdout)["results"]["report"]["result"] == {
        "title": "Report of 2026-03-01: over 60",
        "made_by": "Report with parameters, run 1",
        "shops": ["bergen"],
        "customer": "all of them",
        "team": "sales",
    }


def test_folder_of_workflows_is_valid(shell: Shell) -> None:
    """The command that the page on documents names."""
    done = shell("flowengine validate workflows/")
    assert done.returncode == 0, done.stdout


def test_workflow_is_drawn(clone: Path, shell: Shell) -> None:
    """As an SVG file, as the page on commands shows."""
    (command,) = [code for code in TOPICS["commands"].commands if code.startswith("flowengine graph")]
    done = shell(command)
    assert (done.returncode, done.stdout) == (0, ""), done.stderr
    assert ElementTree.parse(clone / "branches.svg").getroot().tag.endswith("svg")


def test_project_is_made(tmp_path: Path, shell: Shell) -> None:
    """As the page on commands shows; what it needs to be valid is in it."""
    (command,) = {code for code in TOPICS["commands"].commands if code.startswith("flowengine init")}
    assert shell(command, folder=tmp_path).returncode == 0
    assert shell("flowengine validate .", folder=tmp_path / command.split()[-1]).returncode == 0


def test_workflow_of_another_tool_is_imported(tmp_path: Path, shell: Shell) -> None:
    """By the command of the page on imports, into a file that is valid."""
    (command,) = TOPICS["import"].commands
    (tmp_path / "workflows").mkdir()
    shutil.copy(ROOT / "tests/unit/importing/samples/dagu.yaml", tmp_path / "nightly.yaml")
    done = shell(command, folder=tmp_path)
    assert done.returncode == 0, done.stderr
    assert shell("flowengine validate workflows", folder=tmp_path).returncode == 0


def test_examples_are_in_the_one_layout(shell: Shell) -> None:
    """The commands of the page on commands leave them as they are."""
    commands = [code for code in TOPICS["commands"].commands if code.startswith("flowengine fmt")]
    assert len(commands) == 2
    for command in reversed(commands):
        done = shell(command)
        assert (done.returncode, done.stdout) == (0, ""), done.stderr


def test_schema_for_editors_holds_every_handler(clone: Path, shell: Shell) -> None:
    """As it is written into a file: it accepts the page's documents, and refuses a wrong config."""
    done = shell("flowengine schema > .flowengine.schema.json", FLOWENGINE_HANDLERS="my_handlers")
    assert (done.returncode, done.stdout) == (0, ""), done.stderr
    (comment,) = re.findall(r"`# yaml-language-server: \$schema=([^`]+)`", TOPICS["document"].text)
    schema = json.loads((clone / comment).read_text())
    blocks = [yaml.safe_load(block) for block in TOPICS["document"].blocks("yaml")]
    document, *others = [shown for shown in blocks if shown is not None]  # one is a comment
    validator = jsonschema.Draft202012Validator(schema)
    assert [error for shown in (document, *others) for error in validator.iter_errors(shown)] == []
    document["nodes"] = [{"id": "hello", "handler": "greet", "config": {"name": "Ada"}}]
    assert list(validator.iter_errors(document)) == []
    document["nodes"][0]["config"] = {"nam": "Ada"}
    assert list(validator.iter_errors(document)) != []


def test_schema_for_files_of_tests_takes_those_of_the_examples(clone: Path, shell: Shell) -> None:
    """And refuses a field that there is not. Dates are texts, as editors take them."""
    validator = jsonschema.Draft202012Validator(json.loads(shell("flowengine schema --tests").stdout))
    tested = {
        path.name: json.loads(json.dumps(yaml.safe_load(path.read_text()), default=str))
        for path in (clone / "workflows").glob("*.test.yaml")
    }
    assert len(tested) > 20
    assert [name for name, written in tested.items() if list(validator.iter_errors(written))] == []
    assert list(validator.iter_errors({**tested["map.test.yaml"], "test": []})) != []


def test_handlers_are_listed_ones_own_included(shell: Shell) -> None:
    """Every handler that the reference names, with its fields."""
    done = shell("flowengine handlers", FLOWENGINE_HANDLERS="my_handlers", COLUMNS="200")
    assert done.returncode == 0, done.stderr
    for name in [*BUILT_IN, "greet"]:
        assert re.search(rf"^ *{name} ", done.stdout, re.MULTILINE), done.stdout
    (row,) = [line for line in done.stdout.splitlines() if line.split()[:1] == ["greet"]]
    assert "Says hello." in row
    assert "name*, loud" in row
    listed = json.loads(shell("flowengine handlers --json").stdout)
    assert {item["name"] for item in listed} == set(BUILT_IN)


def test_key_is_made_with_its_entry(clone: Path, shell: Shell) -> None:
    """The key and the entry of the page: the API that has the entry lets the key do what its role allows."""
    (command,) = [code for code in TOPICS["api"].inline if code.endswith(" --entry")]
    done = shell(f"{command} --role run")
    assert done.returncode == 0, done.stderr
    assert "FLOWENGINE_API_KEYS" in done.stderr
    (key,) = re.findall(r"^key: +(fe_\S+)$", done.stdout, re.MULTILINE)
    (entry,) = re.findall(r"^entry: +(ci\.[0-9a-f]{64}\.run)$", done.stdout, re.MULTILINE)
    argv = shlex.split(installed("flowengine api --port 0"))
    api = Process("api", argv, clean_environment(FLOWENGINE_API_KEYS=entry), clone)
    try:
        wait_until(lambda: api.records("api.started"), within_s=WAIT_S, what="the API's start")
        url = f"http://127.0.0.1:{api.records('api.started')[0]['port']}"
        with httpx.Client(base_url=url, trust_env=False) as client:
            assert [client.get(path).status_code for path in ("/docs", "/openapi.json")] == [200, 200]
            assert client.post("/workflow", json={}).json()["code"] == "unauthorized"
            headers = {"Authorization": f"Bearer {key}"}
            assert client.post("/workflow", json={}, headers=headers).json()["code"] == "role_missing"
    finally:
        api.close()


def test_key_is_made_listed_and_revoked(shell: Shell, valkey: Valkey) -> None:
    """As the page on the API has it, on the server that REDIS_URL names."""
    made, listed, revoked = [
        command
        for command in TOPICS["api"].inline
        if re.fullmatch(r"flowengine key (new ci (?!.*--entry|.*--definitions).*|list|revoke ci)", command)
    ]
    assert re.match(r"key: +fe_", shell(made, REDIS_URL=valkey.url).stdout)
    assert re.search(
        r"^ *ci +run +Redis", shell(listed, REDIS_URL=valkey.url, COLUMNS="200").stdout, re.MULTILINE
    )
    assert shell(revoked, REDIS_URL=valkey.url).stdout == "revoked: ci\n"
    assert "no key any more" in shell(listed, REDIS_URL=valkey.url).stderr


def test_nothing_of_an_untrusted_folder_is_imported(tmp_path: Path, shell: Shell) -> None:
    """Without the empty setting in front, `.env` names a module, which runs."""
    (tmp_path / ".env").write_text("FLOWENGINE_HANDLERS=evil\n")
    (tmp_path / "evil.py").write_text("open('imported', 'w')\n")
    shutil.copy(ROOT / "workflows" / "linear_dag.yaml", tmp_path)
    assert shell("FLOWENGINE_HANDLERS= flowengine validate .", folder=tmp_path).returncode == 0
    assert not (tmp_path / "imported").exists()
    shell("flowengine validate .", folder=tmp_path)
    assert (tmp_path / "imported").exists()


def test_worker_serves_the_queue_of_ones_own_handler(clone: Path, valkey: Valkey) -> None:
    """The decorator that the reference shows gives the queue that its command serves, and no other."""
    (decorator,) = re.findall(r"^- `(@handler\([^`]+queue=[^`]+)`", TOPICS["handlers"].text, re.MULTILINE)
    example = (clone / "my_handlers.py").read_text()
    (clone / "gpu_handlers.py").write_text(example.replace('@handler("greet")', decorator))
    settings = clean_environment(REDIS_URL=valkey.url, FLOWENGINE_HANDLERS="gpu_handlers")
    argv = shlex.split(installed("flowengine worker --queues gpu"))
    process = Process("worker", argv, settings, clone)
    try:
        with valkey.connect() as server:
            wait_until(lambda: _is_served(server, "gpu"), within_s=WAIT_S, what="a worker of the queue")
            assert not _is_served(server, "worker")
    finally:
        process.close()


def _is_served(server: redis.Redis, queue: str) -> bool:
    """Whether a process reads this queue."""
    key = stream_key(queue)
    groups: Any = server.xinfo_groups(key) if server.exists(key) else []
    return any(group["consumers"] for group in groups)


def test_named_recipes_exist() -> None:
    """Every `just` command names a recipe."""
    just = Path(FLOWENGINE).with_name("just")
    summary = subprocess.run([just, "--summary"], cwd=ROOT, capture_output=True, text=True, timeout=WAIT_S)
    named = [command for file in ALL for command in (*file.commands, *file.inline)]
    recipes = {command.split()[1] for command in named if re.match("just [a-z]", command)}
    assert len(recipes) > 5
    assert recipes <= set(summary.stdout.split())


def test_named_commands_and_options_exist(shell: Shell) -> None:
    """A command with a placeholder in it cannot be run; its `--help` can, and it lists its options."""
    helped = {
        name: shell(f"flowengine {name} --help").stdout
        for name in (
            "run",
            "dev",
            "init",
            "fmt",
            "import",
            "validate",
            "graph",
            "submit",
            "trigger",
            "list",
            "show",
            "results",
            "logs",
            "events",
            "cancel",
            "pause",
            "resume",
            "delete",
            "rerun",
            "bulk",
            "signal",
            "apply",
            "diff",
            "definitions",
            "schedules",
            "test",
            "approve",
            "reject",
            "skip",
            "complete",
            "fail",
            "dead-letters",
            "queues",
            "workers",
            "limits",
            "stats",
            "completion",
            "api",
            "orchestrator",
            "worker",
            "handlers",
            "schema",
            "key",
            "key new",
            "key revoke",
            "help",
        )
    }
    inline = [code for file in ALL for code in file.inline]
    named = {code.split()[1] for code in inline if re.match(r"flowengine [a-z]", code)}
    assert named - set(helped) == set()
    options = {option for code in inline for option in re.findall(r"^--[a-z-]+", code)}
    others = {"--help", "--appendonly"}
    assert [
        option for option in options - others if not any(option in text for text in helped.values())
    ] == []
