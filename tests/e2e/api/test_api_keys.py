"""API keys as an operator uses them: made by the tool, set for the process, required over HTTP."""

from __future__ import annotations

import re
import subprocess
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from flowengine.store.keys import API_KEYS
from tests.e2e.answers import assert_problem
from tests.e2e.documents import add, workflow
from tests.support.rigs.stack_processes import FLOWENGINE, START_S, Stack, clean_environment
from tests.support.servers.valkey import Valkey
from tests.support.waiting import wait_until

DOCUMENT = workflow(add("sum", 1, 1))


@pytest.fixture(scope="module")
def stack() -> Iterator[Stack]:
    """A server without services."""
    valkey = Valkey()
    with Stack(valkey, {"FLOWENGINE_LOG_LEVEL": "debug"}) as made:
        valkey.start()
        yield made


def new_key() -> tuple[str, str]:
    """A key and its entry, as the tool prints them."""
    argv = [FLOWENGINE, "key", "new", "ci", "--entry"]
    done = subprocess.run(
        argv, env=clean_environment(), capture_output=True, text=True, check=True, timeout=60
    )
    found = re.fullmatch(r"key: +(fe_\S+)\nentry: +(ci\.[0-9a-f]{64})\n", done.stdout)
    assert found, done.stdout
    return found[1], found[2]


@pytest.mark.proves("key-missing")
@pytest.mark.parametrize("as_file", [False, True], ids=["variable", "file"])
def test_key_that_the_tool_makes_opens_the_api(stack: Stack, tmp_path: Path, as_file: bool) -> None:
    """401 with a challenge without it, 201 with it; the log names its id and never the key itself."""
    key, entry = new_key()
    (tmp_path / "keys").write_text(f"{entry}\n")
    setting = (
        {"FLOWENGINE_API_KEYS_FILE": str(tmp_path / "keys")} if as_file else {"FLOWENGINE_API_KEYS": entry}
    )
    api = stack.start_api(**setting)

    refused = stack.client.post("/workflow", json=DOCUMENT)
    assert_problem(refused, 401, "unauthorized")
    assert refused.headers["WWW-Authenticate"] == 'Bearer realm="flowengine"'
    wrong = stack.client.post("/workflow", json=DOCUMENT, headers={"Authorization": f"Bearer {key}x"})
    assert_problem(wrong, 401, "unauthorized")
    assert 'error="invalid_token"' in wrong.headers["WWW-Authenticate"]
    assert stack.client.get("/health").status_code == 200

    headers = {"Authorization": f"Bearer {key}"}
    created = stack.client.post("/workflow", json=DOCUMENT, headers=headers)
    assert created.status_code == 201
    path = f"/workflows/{created.json()['execution_id']}"
    assert stack.client.get(path, headers=headers).status_code == 200
    assert_problem(stack.client.get(path), 401, "unauthorized")
    wait_until(lambda: len(api.records("http.request_finished")) >= 5, what="the lines of the requests")
    assert [record for record in api.records() if record.get("api_key") == "ci"]
    secrets = (key, key.removeprefix("fe_"), entry.partition(".")[2])
    assert [line for line in api.lines if any(secret in line for secret in secrets)] == []


@pytest.mark.proves("api-open-to-all")
def test_api_without_keys_does_not_listen_to_everyone(stack: Stack) -> None:
    """Exit code 3 and one line that says what to do; nothing has listened."""
    api = stack.launch("open-api", [FLOWENGINE, "api", "--host", "0.0.0.0", "--port", "0"])
    assert api.wait(START_S) == 3
    (line,) = api.lines
    assert line.startswith("error: without keys the API listens on loopback only, not on 0.0.0.0: ")
    assert "FLOWENGINE_API_KEYS" in line
    assert "--insecure" in line


@pytest.mark.proves("api-open-to-all", "last-key-revoked")
def test_key_in_redis_lets_the_api_listen_to_everyone(stack: Stack) -> None:
    """It asks for that key, and goes on asking for one when the last one is revoked."""
    made = stack.launch("key", [FLOWENGINE, "key", "new", "far", "--role", "read"])
    assert made.wait(START_S) == 0
    key = next(line for line in made.lines if line.startswith("key:")).split()[1]
    api = stack.launch("far-api", [FLOWENGINE, "api", "--host", "0.0.0.0", "--port", "0"])
    wait_until(lambda: api.records("api.started"), within_s=START_S, what="the API's start")
    url = f"http://127.0.0.1:{api.records('api.started')[0]['port']}"
    headers = {"Authorization": f"Bearer {key}", "Host": "flows.example.com"}
    with httpx.Client(base_url=url, trust_env=False) as client:
        assert_problem(client.get("/workflows/x1"), 401, "unauthorized")
        assert_problem(client.get("/workflows/x1", headers=headers), 404, "execution_not_found")
        assert_problem(client.post("/workflow", json=DOCUMENT, headers=headers), 403, "role_missing")
        assert stack.launch("revoke", [FLOWENGINE, "key", "revoke", "far"]).wait(START_S) == 0
        wait_until(
            lambda: client.get("/workflows/x1", headers=headers).status_code == 401, what="an end of the key"
        )
        assert_problem(client.get("/workflows/x1"), 401, "unauthorized")
    with stack.valkey.connect() as client_of_redis:
        client_of_redis.delete(API_KEYS)


def test_insecure_api_listens_to_everyone(stack: Stack) -> None:
    """`--insecure` says that something else keeps strangers out. Any host name is served."""
    api = stack.launch("insecure-api", [FLOWENGINE, "api", "--host", "0.0.0.0", "--port", "0", "--insecure"])
    wait_until(lambda: api.records("api.started"), within_s=START_S, what="the API's start")
    (started,) = api.records("api.started")
    assert started["host"] == "0.0.0.0"
    url = f"http://127.0.0.1:{started['port']}/workflow"
    answer = httpx.post(url, json=DOCUMENT, headers={"Host": "flows.example.com"}, trust_env=False)
    assert answer.status_code == 201
