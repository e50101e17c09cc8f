"""Every file in workflows/: accepted by the validator, and run to its end by real processes."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
import yaml

from tests.support.documents import EXAMPLES
from tests.support.rigs.stack_processes import FLOWENGINE, ROOT, Stack, clean_environment
from tests.support.servers.http_server import HttpServer, Reply, json_reply, serving
from tests.support.waiting import wait_until

FOLDER = ROOT / "workflows"
FILES = [path.name for path in EXAMPLES]
NEEDS_NETWORK = "http_and_llm"
NEED_A_SERVICE = ("polling", "paging")
MEDIA_TYPES = {".yaml": "application/yaml", ".json": "application/json"}
LAST_RESULTS: dict[str, dict[str, Any]] = {
    "linear_dag": {"score": 40},
    "fan_out_fan_in": {"message": "4 orders, 547 in all"},
    "concurrent_completion": {"sum_of_squares": 1496, "check": 0},
    "branches": {"receipt": "101 in all; the fee is completed, free is skipped"},
    "error_handling": {
        "report": {
            "price": 80,
            "discount": "division_by_zero",
            "to_do": "please call the customer: we do not send to Atlantis",
        }
    },
    "hooks": {"price": 80},
    "group_repeated": {"report": {"months": 4, "paid": 1207.7, "last": "month 4: 7.7 of 7.7"}},
    "saga": {"report": {"hotel": "completed", "flight": "completed", "reason": "no car in Lisbon"}},
    "retry": {"answer": {"temperature": 20, "asked": "failed", "checked": "assertion_failed"}},
    "defaults": {"report": {"total": 70, "largest": 40, "accepted": "unknown", "because": "output_invalid"}},
    "expressions": {
        "report": {
            "cities": ["Bergen", "Oslo"],
            "by_status": [{"status": "open", "total": 25}, {"status": "paid", "total": 45}],
            "largest": "order 7 of 2026-02-28: 40 EUR",
            "due": "2026-03-14",
        },
        "message": "2 of 3 orders are paid; write to ada@example.com",
    },
    "map": {"report": "3 of 4 orders come to 594.0. Left out: a-3."},
    "group": {"send": "HELLO FROM BERN (15)"},
    "group_for_each": {"report": "a-1: 90.0, a-3: 75.0. Left out: a-2."},
    "parameters": {"over_threshold": ["bergen"]},
    "approval": {"publish": "nobody has decided"},
    "approval_for_each": {"report": {"released": [], "refused": [], "undecided": ["a-1", "a-2", "a-3"]}},
    "reminders": {"report": {"asked": 3, "answer": "none"}},
    "waiting": {"look_again": "first, then later: true"},
    "definition": {"invoice": {"sum": 150, "made_by": "invoice-total, version none"}},
    "schedule": {"report": {"total": 25, "by_schedule": False}},
    "after": {"ask": "why only 10?"},
    "trigger": {},
    "one_at_a_time": {"store": "acme: 65"},
    "low_priority": {"old": [1, 3]},
    "rate_limited_calls": {"total": 21},
    "limit_per_customer": {"balance": "acme: 60"},
    "limit_per_region": {"confirm": "confirmed in eu"},
    "one_group_at_a_time": {"report": "stock of eu: 7"},
    "sub_workflow": {"letter": "Please pay 150. (invoice-total, version 1)"},
    "sub_workflow_for_each": {"letters": [150, 60, 90]},
    "cache": {"invoice": "lamp: 40"},
    "stopping": {"nothing_to_do": {"reminded": 0}},
}
PAGES = (
    json_reply({"orders": [{"total": 1}], "next": "b"}),
    json_reply({"orders": [{"total": 2}], "next": "c"}),
    json_reply({"why": "no such page"}, 404),
    json_reply({"orders": [{"total": 3}], "next": "d"}),
    json_reply({"orders": [{"total": 4}], "next": None}),
)
"""Of a service that does not find one of its pages the first time."""
FAILS_ON_PURPOSE = "saga"
CALLS_BACK = "callback"
APPLIED_FIRST = {"sub_workflow": "definition", "sub_workflow_for_each": "definition"}
"""The definition that an example runs."""
ATTEMPTS = {"retry": {"ask": 3, "check": 1}}


@pytest.fixture
def own_service() -> Iterator[HttpServer]:
    """A server that plays both the service and the language model."""
    with serving() as server:
        server.answers("/users/1", json_reply({"id": 1, "name": "Leanne Graham"}))
        server.answers("/posts", json_reply([{"title": f"post {at}"} for at in range(10)]))
        choice = {"message": {"content": "  She writes about tests. "}, "finish_reason": "stop"}
        server.answers("/v1/chat/completions", json_reply({"model": "gpt-4", "choices": [choice]}))
        yield server


def test_promised_examples_are_there() -> None:
    """The four that SPEC names, one of them in JSON as well, and one for each idea of flow control."""
    names = {Path(name).stem for name in FILES}
    assert names >= {*LAST_RESULTS, NEEDS_NETWORK, *NEED_A_SERVICE, CALLS_BACK}
    assert [name for name in FILES if name.endswith(".json")]


@pytest.mark.parametrize(
    "name", [name for name in FILES if not name.startswith((NEEDS_NETWORK, *NEED_A_SERVICE, CALLS_BACK))]
)
def test_example_runs_to_its_end(stack: Stack, name: str) -> None:
    """Posted as it is, it ends with the results that its comments promise, and is as green as they say."""
    path = FOLDER / name
    if path.stem in APPLIED_FIRST:
        apply(stack, FOLDER / f"{APPLIED_FIRST[path.stem]}.yaml")
    response = stack.client.post(
        "/workflow", content=path.read_bytes(), headers={"Content-Type": MEDIA_TYPES[path.suffix]}
    )
    assert response.status_code == 201, response.text
    stack.trigger(response.json()["execution_id"])
    ended = stack.ended(response.json()["execution_id"])
    assert ended.status["status"] == ("failed" if path.stem == FAILS_ON_PURPOSE else "completed")
    attempts = {node["id"]: node["attempt"] for node in ended.status["nodes"]}
    assert attempts.items() >= ATTEMPTS.get(path.stem, {}).items()
    wanted = LAST_RESULTS[path.stem]
    assert {node: ended.results[node]["result"] for node in wanted} == wanted


def apply(stack: Stack, path: Path) -> None:
    """Apply a document under its name."""
    name = yaml.safe_load(path.read_text())["name"]
    headers = {"Content-Type": MEDIA_TYPES[path.suffix]}
    answer = stack.client.put(f"/definitions/{name}", content=path.read_bytes(), headers=headers)
    assert answer.status_code in (200, 201), answer.text


def test_examples_that_repeat_call_a_service_as_often_as_it_takes(
    stack: Stack, own_service: HttpServer
) -> None:
    """One asks for a job until it is done, through an outage of the service; the other reads page after page,
    and goes on with the page at which it has failed."""
    own_service.answers("/jobs", json_reply({"id": "7"}))
    running = json_reply({"state": "running"})
    done = json_reply({"state": "done"})
    own_service.answers("/jobs/7", running, Reply(status=503), running, running, done)
    own_service.answers("/orders", *PAGES)
    inputs = {"inputs": {"service": own_service.url("").rstrip("/")}}
    executions = {}
    for name in NEED_A_SERVICE:
        document = yaml.safe_load((FOLDER / f"{name}.yaml").read_text())
        answer = stack.client.post("/workflow?trigger=true", json={"workflow": document, **inputs})
        assert answer.status_code == 202, answer.text
        executions[name] = answer.json()["execution_id"]
    polled = stack.ended(executions["polling"])
    assert polled.results["report"]["result"] == {"state": "done", "asked": 4}
    keys = [call.headers["idempotency-key"] for call in own_service.called("/jobs/7")]
    assert [key.split("-")[1] for key in keys] == ["1.1", "1.2", "1.2", "1.3", "1.4"]
    read = stack.ended(executions["paging"])
    assert read.status["error"]["node"] == "pages"
    assert [node["iteration"] for node in read.status["nodes"] if node["id"] == "pages"] == [3]
    stack.trigger(executions["paging"])
    read = stack.ended(executions["paging"])
    assert read.results["total"]["result"] == {"pages": 4, "orders": 4, "sum": 10}
    asked = [call.query.get("token") for call in own_service.called("/orders")]
    assert asked == [None, "b", "c", "c", "d"]


def test_example_that_waits_for_a_callback_goes_on_with_it(stack: Stack, own_service: HttpServer) -> None:
    """The service posts to the URL that it was sent. Nothing shows it."""
    own_service.answers("/jobs", json_reply({"id": "7"}))
    document = yaml.safe_load((FOLDER / f"{CALLS_BACK}.yaml").read_text())
    inputs = {"service": own_service.url("").rstrip("/")}
    answer = stack.client.post("/workflow?trigger=true", json={"workflow": document, "inputs": inputs})
    assert answer.status_code == 202, answer.text
    execution = answer.json()["execution_id"]
    wait_until(lambda: own_service.called("/jobs"))
    reply_to = yaml.safe_load(own_service.called("/jobs")[0].body)["reply_to"]
    assert reply_to.startswith(str(stack.client.base_url).rstrip("/"))
    refused = httpx.post(reply_to, json={"pages": "many"}, trust_env=False)
    assert (refused.status_code, refused.json()["code"]) == (422, "payload_invalid")
    taken = httpx.post(reply_to, json={"pages": 12, "sent_to": reply_to}, trust_env=False)
    assert (taken.status_code, taken.json()) == (202, {"accepted": True})
    ended = stack.ended(execution)
    assert ended.results["report"]["result"] == "job 7: 12 pages"
    assert httpx.post(reply_to, json={"pages": 12}, trust_env=False).status_code == 410
    token = reply_to.rpartition("/")[2]
    shown = stack.client.get(f"/workflows/{execution}/nodes/convert")
    assert shown.json()["config"]["body"]["reply_to"] == "***"
    for path in (f"/workflows/{execution}/nodes/convert", f"/workflows/{execution}/events"):
        assert token not in stack.client.get(path).text


def test_example_with_a_language_model_runs_by_the_tool(own_service: HttpServer, tmp_path: Path) -> None:
    """`flowengine run` with the input and the setting that the file's comments name."""
    settings = {"LLM_BASE_URL": own_service.url("/v1")}
    service = f"service={own_service.url('').rstrip('/')}"
    done = subprocess.run(
        [FLOWENGINE, "run", str(FOLDER / f"{NEEDS_NETWORK}.yaml"), "--json", "--input", service],
        env=clean_environment(**settings),
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert done.returncode == 0, done.stderr
    outcome = json.loads(done.stdout)
    assert outcome["results"]["headline"] == {"result": "She writes about tests."}
    (asked,) = own_service.called("/v1/chat/completions")
    assert "Leanne Graham" in str(asked.json())
    assert "post 2" in str(asked.json())
    assert "post 3" not in str(asked.json())
    assert own_service.called("/posts")[0].query == {"userId": "1"}


def test_all_examples_are_valid(tmp_path: Path) -> None:
    """`flowengine validate workflows` finds nothing to complain about."""
    done = subprocess.run(
        [FLOWENGINE, "validate", str(FOLDER)],
        env=clean_environment(),
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert done.returncode == 0, done.stdout
