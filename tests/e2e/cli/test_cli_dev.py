"""`flowengine dev`, as a user runs it."""

from __future__ import annotations

import hashlib
import json
import re
import sys
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.e2e.cli_process import CliProcess
from tests.support.servers.valkey import Valkey, free_port
from tests.support.waiting import wait_until

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="looks at processes through /proc")

WORKFLOW = b"""name: dev
nodes:
  - {id: a, handler: compute, config: {operation: add, a: 1, b: 2}}
"""
GREETINGS = """
import msgspec
from flowengine.plugin import Context, handler
class Config(msgspec.Struct):
    name: str
@handler("greet")
def greet(config: Config, context: Context) -> dict:
    return {{"result": "{word} " + config.name}}
"""
Start = Callable[..., CliProcess]


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Start]:
    """Starts `flowengine dev` in an empty folder."""
    started: list[CliProcess] = []

    def start(*arguments: str, **settings: str) -> CliProcess:
        started.append(CliProcess(tmp_path, "dev", *arguments, **settings))
        return started[-1]

    yield start
    for command in started:
        command.close()


def test_state_is_kept_in_a_folder_between_starts(start: Start) -> None:
    """A workflow runs over HTTP; after Ctrl-C and a new start on the same --data it is still there."""
    port = free_port()
    first = start("--port", str(port), "--data", "state")
    first.await_output("/docs")
    addresses = re.findall(r"http://\S+", first.stdout.partition("is up")[2])
    assert addresses[0] == f"http://127.0.0.1:{port}/ui"
    execution = _request(port, "/workflow", WORKFLOW)["execution_id"]
    _request(port, f"/workflow/trigger/{execution}", b"")
    wait_until(lambda: _request(port, f"/workflows/{execution}")["status"] == "completed", within_s=30)
    first.interrupt()
    assert first.wait(within_s=20) == 0
    first.await_nothing_left()
    assert "Traceback" not in first.stdout + first.stderr

    second = start("--port", str(port), "--data", "state")
    second.await_output("is up")
    results = _request(port, f"/workflows/{execution}/results")
    assert results["results"] == {"a": {"result": 3}}
    second.interrupt()
    assert second.wait(within_s=20) == 0


@pytest.mark.proves("secret-of-another-service")
def test_each_service_has_its_own_credentials_only(start: Start) -> None:
    """Workflows' secrets and the key of the language model are the worker's; the API's keys are the API's."""
    command = start(
        "--port",
        "0",
        FLOWENGINE_SECRET_TOKEN="secret-canary",
        LLM_API_KEY="llm-canary",
        FLOWENGINE_API_KEYS="ops." + "0" * 64,
    )
    command.await_output("is up")
    found: dict[str, set[str]] = {}
    for pid in command.processes():
        words = Path(f"/proc/{pid}/cmdline").read_bytes().split(b"\0")
        environ = Path(f"/proc/{pid}/environ").read_bytes().split(b"\0")
        names = {entry.partition(b"=")[0].decode() for entry in environ if entry.partition(b"=")[2]}
        for service in ("api_process", "orchestrator", "worker"):
            if any(word.decode().endswith(service) for word in words):
                found[service] = names & {"FLOWENGINE_SECRET_TOKEN", "LLM_API_KEY", "FLOWENGINE_API_KEYS"}
    assert found == {
        "api_process": {"FLOWENGINE_API_KEYS"},
        "orchestrator": set(),
        "worker": {"FLOWENGINE_SECRET_TOKEN", "LLM_API_KEY"},
    }


def test_workflows_are_applied_and_handlers_reloaded_while_it_runs(start: Start, tmp_path: Path) -> None:
    """The page's address comes first. A saved file is applied, a wrong one told, a changed handler used; what
    a broken module would do is told, and the old one goes on."""
    handlers, flow = tmp_path / "my_greetings.py", tmp_path / "workflows" / "hello.yaml"
    flow.parent.mkdir()
    flow.write_text("name: hello\nnodes:\n  - {id: a, handler: greet, config: {name: Ada}}\n")
    handlers.write_text(GREETINGS.format(word="hi"))
    command = start(
        "--port", "0", FLOWENGINE_HANDLERS="my_greetings", FLOWENGINE_API_KEYS="ops." + _digest("fe_ops")
    )
    command.await_output("applied: 1 new")
    assert re.match(r"http://127\.0\.0\.1:\d+/ui ", command.stdout)
    port = int(re.findall(r"127\.0\.0\.1:(\d+)/ui", command.stdout)[0])
    assert _greeting(port) == "hi Ada"

    (tmp_path / "workflows" / "wrong.yaml").write_text("name: wrong\n")
    command.await_output("workflows/wrong.yaml:1:1: missing_field: ")
    handlers.write_text("import not_there\n" + GREETINGS.format(word="broken"))
    command.await_output("handlers not reloaded: FLOWENGINE_HANDLERS names module 'my_greetings', which")
    assert _greeting(port) == "hi Ada"

    handlers.write_text(GREETINGS.format(word="hello"))
    command.await_output("handlers reloaded: my_greetings.py changed")
    wait_until(lambda: _answers(port) and _greeting(port) == "hello Ada", within_s=40)
    command.interrupt()
    assert command.wait(within_s=20) == 0
    assert "http.request_finished" in command.stdout
    assert "/definitions/diff" not in command.stdout


def test_nothing_is_applied_where_nobody_asks_for_it(start: Start, tmp_path: Path, valkey: Valkey) -> None:
    """On a server that others may use, and with --no-apply; there PATH has no meaning."""
    (tmp_path / "workflows").mkdir()
    (tmp_path / "workflows" / "x.yaml").write_bytes(WORKFLOW)
    command = start("--port", "0", REDIS_URL=valkey.url)
    command.await_output("is up")
    assert "applies" not in command.stdout
    command.interrupt()
    assert command.wait(within_s=20) == 0
    assert start("--no-apply", "workflows").wait() == 2
    assert "--no-apply applies nothing" in (tmp_path / "stderr").read_text()
    assert start("--port", "0", "absent").wait() == 3
    assert "there is no absent to apply workflows from" in (tmp_path / "stderr").read_text()


def test_taken_port_is_one_clear_line(start: Start) -> None:
    """Nothing is started; the line says which port and what to do."""
    import socket

    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        command = start("--port", str(port))
        assert command.wait() == 3
    assert command.stderr.startswith(f"error: cannot listen on 127.0.0.1:{port}: another program")
    assert command.stderr.count("\n") == 1


def test_port_0_is_a_free_one(start: Start) -> None:
    """The first lines of output name the port."""
    command = start("--port", "0")
    command.await_output("is up")
    found = re.search(r"http://127\.0\.0\.1:(\d+)/docs", command.stdout)
    assert found is not None
    health = _request(int(found[1]), "/health")
    assert health["checks"]["redis"] == "ok"
    assert "no append-only file" in health["warnings"][0]
    command.interrupt()
    assert command.wait(within_s=20) == 0


def test_folder_and_given_server_contradict_each_other(start: Start) -> None:
    """--data is the embedded server's; REDIS_URL means another."""
    command = start("--data", "state", REDIS_URL="redis://127.0.0.1:1/0")
    assert command.wait() == 3
    assert "unset one of them" in command.stderr


def test_setting_that_stops_a_service_stops_the_stack(start: Start) -> None:
    """A module that does not exist is named once, and dev ends."""
    command = start("--port", str(free_port()), FLOWENGINE_HANDLERS="no_such_module_here")
    assert command.wait() == 3
    assert "no_such_module_here" in command.stdout + command.stderr
    assert "Traceback" not in command.stdout + command.stderr


def _digest(key: str) -> str:
    return hashlib.sha256(key.encode()).hexdigest()


def _answers(port: int) -> bool:
    """Whether the API is there: not while it is started again."""
    try:
        _request(port, "/health")
    except OSError:
        return False
    return True


def _greeting(port: int) -> Any:
    """What the definition makes now."""
    headers = {"Authorization": "Bearer fe_ops"}
    url = f"http://127.0.0.1:{port}/definitions/hello/trigger?wait=30"
    request = urllib.request.Request(url, data=b"", headers=headers)
    with urllib.request.urlopen(request, timeout=40) as answer:
        return json.load(answer)["results"]["a"]["result"]


def _request(port: int, path: str, body: bytes | None = None) -> Any:
    """The JSON answer of the API: GET, or POST of YAML when there is a body."""
    request = urllib.request.Request(
        f"http://127.0.0.1:{port}{path}", data=body, headers={"Content-Type": "application/yaml"}
    )
    with urllib.request.urlopen(request, timeout=10) as answer:
        return json.load(answer)
