"""`flowengine.client`: what it sends, what it returns, what it raises. Both clients."""

from __future__ import annotations

import asyncio
import inspect
from collections.abc import Mapping
from datetime import UTC, datetime

import httpx
import msgspec
import pytest

from flowengine.client import (
    AsyncClient,
    BadAnswerError,
    Client,
    NotEndedError,
    RefusedError,
    UnreachableError,
    calls,
    definition_calls,
)
from flowengine.client.address import address
from flowengine.client.methods import Iteration, Method, Methods
from flowengine.client.waiting import LONGEST_S, OUTAGE_S, Patience
from flowengine.errors import SettingsError
from flowengine.execution.views.executions import NULL, NodeDetailView, ResultsView, StartedView
from flowengine.jsonvalue import JsonValue
from flowengine.layout.drawing import Drawing
from tests.unit.client.answers import URL, Stack, client_of, execution, problem

CREATED = {
    "execution_id": "a" * 27,
    "name": "report",
    "status": "pending",
    "created_at": "2026-03-01T08:00:00.000Z",
    "correlation_id": "c",
}
STARTED = {**CREATED, "status": "running", "run": 1}
DOCUMENT = "name: report\nnodes: []\n"


def page(*names: str, cursor: str | None = None) -> Mapping[str, object]:
    """A page of events of these nodes."""
    items = [
        {"id": f"1-{place}.0", "at": "2026-03-01T08:00:00.000Z", "kind": "node_queued", "node": name}
        for place, name in enumerate(names)
    ]
    return {"items": items, "next_cursor": cursor}


def test_text_is_sent_as_it_is() -> None:
    """So the API's problems name the lines of the file."""
    stack = Stack(CREATED, status=201)
    with client_of(stack) as client:
        assert client.create(DOCUMENT).execution_id == "a" * 27
        client.create('{"name": "report"}')
    assert [each.content.decode() for each in stack.requests] == [DOCUMENT, '{"name": "report"}']
    assert [each.headers["content-type"] for each in stack.requests] == [
        "application/yaml",
        "application/json",
    ]


def test_inputs_and_labels_come_in_the_envelope() -> None:
    """Whether the workflow is text or an object."""
    stack = Stack(STARTED, status=202)
    document = {"name": "report", "nodes": list[object]()}
    with client_of(stack) as client:
        for workflow in (DOCUMENT, msgspec.json.encode(document)):
            assert client.start(workflow, inputs={"day": 1}, labels={"a": "b"}).run == 1
    assert [stack.body(place) for place in range(2)] == 2 * [
        {"workflow": document, "inputs": {"day": 1}, "labels": {"a": "b"}}
    ]
    assert stack.asked == ["POST /workflow?trigger=true"] * 2


def test_a_callback_url_comes_in_the_envelope() -> None:
    """It takes the place of the one that an envelope has already."""
    stack = Stack(STARTED, status=202)
    document: dict[str, JsonValue] = {"name": "report", "nodes": []}
    enveloped: dict[str, JsonValue] = {"workflow": document, "callback_url": "http://b"}
    with client_of(stack) as client:
        for workflow in (document, enveloped):
            client.start(workflow, callback_url="http://a")
    assert [stack.body(place) for place in range(2)] == 2 * [
        {"workflow": document, "callback_url": "http://a"}
    ]


def test_text_that_cannot_be_read_is_refused_before_it_is_sent() -> None:
    """Where it would have to stand in the envelope."""
    with client_of(Stack(CREATED)) as client, pytest.raises(RefusedError, match="cannot be read") as raised:
        client.start("name: [", inputs={"day": 1})
    assert (raised.value.code, raised.value.problems[0].line) == ("malformed_document", 2)


def test_list_asks_for_what_is_wanted_and_follows_the_pages() -> None:
    """Each filter is a parameter; a page that is empty may have a next one."""
    empty = {"items": [], "next_cursor": "next one"}
    stack = Stack(empty, {"items": [], "next_cursor": None})
    with client_of(stack) as client:
        found = client.list(
            status=("failed", "cancelled"),
            labels={"team": "data & more"},
            created_after=datetime(2026, 3, 1, 8, tzinfo=UTC),
            begins_with="rep",
            limit=7,
        )
        assert list(found) == []
    first = (
        "GET /workflows?status=failed&status=cancelled&label=team%3Adata%20%26%20more"
        "&created_after=2026-03-01T08%3A00%3A00.000%2B00%3A00&q=rep&limit=7"
    )
    assert [each.replace("+", "%20") for each in stack.asked] == [first, f"{first}&cursor=next%20one"]


def test_reruns_say_what_they_are_asked_for() -> None:
    """And nothing else."""
    answer = {"execution_id": "x", "status": "running", "run": 2, "reset": ["a"], "reused": [], "skipped": []}
    assert Client.rerun("x").body is None
    asked = Client.rerun("x", start_from=["a"], skip=["b"], inputs={"day": 1}, run=1)
    assert asked.body == b'{"from":["a"],"skip":["b"],"inputs":{"day":1},"expect":{"run":1}}'
    assert Client.preview_rerun("x", mode="all").body == b'{"mode":"all","preview":true}'
    assert Client.rerun("x", items={"a": ("1", "2")}).body == b'{"items":{"a":["1","2"]}}'
    assert Client.rerun("x", as_new=True, version=3).body == b'{"version":3,"as":"new"}'
    stack = Stack(answer)
    with client_of(stack) as client:
        assert client.rerun("x").reset == ("a",)
    assert stack.asked == ["POST /workflows/x/rerun"]


def test_answers_to_nodes_that_wait_are_sent() -> None:
    """To the node or by the name of the signal."""
    stack = Stack({"execution_id": "x", "signal": "a b", "run": 1})
    with client_of(stack) as client:
        assert client.signal("x", "a b", {"n": 1}).run == 1
    assert Client.signal("x", "paid").body == b"null"
    assert Client.signal("x", "paid", item="a", iteration=2).query == (("item", "a"), ("iteration", "2"))
    assert stack.asked == ["POST /workflows/x/signals/a%20b"]
    assert Client.decide("x", "a", approved=True, run=1).body == b'{"approved":true,"run":1}'
    stack = Stack({"items": [], "next_cursor": None})
    with client_of(stack) as client:
        assert list(client.waiting(kind="approval")) == []
    assert stack.asked == ["GET /waiting?kind=approval&limit=50"]


def test_events_of_all_pages_come_one_after_the_other() -> None:
    """With both clients."""

    async def awaited() -> list[object]:
        transport = httpx.MockTransport(Stack(page("a", "b", cursor="1-1.0"), page("c")))
        async with AsyncClient(URL, transport=transport) as client:
            return [event.node async for event in client.events("x")]

    with client_of(Stack(page("a", "b", cursor="1-1.0"), page("c"))) as client:
        assert [event.node for event in client.events("x")] == ["a", "b", "c"]
    assert asyncio.run(awaited()) == ["a", "b", "c"]


def test_graph_of_an_execution_is_read() -> None:
    """With both clients: a drawing, as the layout makes it."""

    async def awaited() -> Drawing:
        async with AsyncClient(URL, transport=httpx.MockTransport(Stack(drawing))) as client:
            return await client.graph("x")

    card = {"id": "a", "handler": "set", "stage": "main", "x": 0, "y": 0, "width": 168, "height": 40}
    drawing = {"direction": "down", "width": 168, "height": 40, "cards": [card], "edges": []}
    stack = Stack(drawing)
    with client_of(stack) as client:
        assert client.graph("x").cards[0].id == "a"
    assert stack.asked == ["GET /workflows/x/graph"]
    assert asyncio.run(awaited()).direction == "down"


def test_one_node_is_read() -> None:
    """With both clients: its config and its result are JSON."""

    async def awaited() -> NodeDetailView:
        async with AsyncClient(URL, transport=httpx.MockTransport(Stack(answer))) as client:
            return await client.node("x", "a")

    times = dict.fromkeys(("queued_at", "started_at", "finished_at"))
    node: dict[str, object] = {"id": "a", "kind": "task", "handler": "set", "status": "pending", "attempt": 0}
    node |= {**times, "dependencies": [], "error": None}
    answer = {**node, "result": None, "attempts": [], "config": {"b": 1}}
    stack = Stack(answer)
    with client_of(stack) as client:
        found = client.node("x", "a/b")
    assert stack.asked == ["GET /workflows/x/nodes/a%2Fb"]
    assert (found.result, found.config) == (NULL, msgspec.Raw(b'{"b":1}'))
    assert asyncio.run(awaited()).id == "a"


def test_ids_cannot_lead_to_another_path() -> None:
    """What is no id is refused, and a slash is no part of the path."""
    stack = Stack({"id": "x"})
    with client_of(stack) as client:
        client.delete_dead_letter("../keys/ops")
        for no_id in ("", ".", ".."):
            with pytest.raises(ValueError, match="is no id"):
                client.delete_dead_letter(no_id)
    assert stack.asked == ["DELETE /dead-letters/..%2Fkeys%2Fops"]


def test_refusal_carries_the_problem_document() -> None:
    """Code, detail, status and problems."""
    problems = [
        {"code": "unknown_handler", "pointer": "/nodes/0/handler", "message": "no handler", "line": 3}
    ]
    refused = problem(422, "invalid_workflow", "The document has problems.", problems=problems)
    with client_of(Stack(refused)) as client, pytest.raises(RefusedError, match="has problems") as raised:
        client.create(DOCUMENT)
    error = raised.value
    assert (error.status, error.code, error.problems[0].line) == (422, "invalid_workflow", 3)


@pytest.mark.parametrize(
    ("failure", "told"),
    [
        (httpx.ConnectError("refused"), f"no FlowEngine at {URL}: start one with `flowengine dev` or set"),
        (httpx.ReadTimeout("timed out"), "has not answered POST /workflow: timed out. It may have been done"),
    ],
    ids=["nobody", "no answer"],
)
def test_stack_that_does_not_answer_is_named(failure: Exception, told: str) -> None:
    """With what to do."""
    with client_of(Stack(failure)) as client, pytest.raises(UnreachableError, match=told):
        client.create(DOCUMENT)


@pytest.mark.parametrize(
    "answer",
    [httpx.Response(404, html="<p>nothing here</p>"), httpx.Response(200, html="<p>hello</p>")],
    ids=["error", "page"],
)
def test_other_service_is_told_from_a_stack(answer: httpx.Response) -> None:
    """The address is wrong then."""
    with client_of(Stack(answer)) as client, pytest.raises(BadAnswerError, match="address"):
        client.status("x")


def test_stack_that_is_down_is_an_answer() -> None:
    """Of `health` alone."""
    down = httpx.Response(503, content=b'{"status": "down", "checks": {"redis": "no answer"}}')
    with client_of(Stack(down)) as client:
        assert client.health().checks == {"redis": "no answer"}


def test_waiting_ends_with_the_execution() -> None:
    """A stack that does not answer for a moment is asked again. Each status is shown."""
    lost = httpx.ConnectError("refused")
    stack = Stack(execution(), lost, execution("completed"))
    statuses: list[str] = []
    with client_of(stack) as client:
        ended = client.wait_until_ended("x", seen=lambda view: statuses.append(view.status))
    assert (ended.status, statuses) == ("completed", ["running", "completed"])


def test_waiting_is_awaited_as_well() -> None:
    """By the other client, which gives up in the same way."""

    async def wait() -> None:
        async with AsyncClient(URL, transport=httpx.MockTransport(Stack(execution()))) as client:
            await client.wait_until_ended("x", timeout_s=0)

    with pytest.raises(NotEndedError, match="has not ended, and goes on"):
        asyncio.run(wait())


def test_pauses_grow_and_are_bounded() -> None:
    """Up to two seconds, and never past the time to wait."""
    patience = Patience("x", timeout_s=None, now=0.0)
    pauses = [patience.after_answer(0.0) for _ in range(20)]
    assert pauses == sorted(pauses)
    assert pauses[-1] == LONGEST_S
    assert Patience("x", timeout_s=0.01, now=0.0).after_answer(0.0) == 0.01


def test_outage_ends_the_waiting() -> None:
    """Half a minute after the last answer."""
    patience, error = Patience("x", timeout_s=None, now=0.0), UnreachableError("gone")
    patience.after_answer(10.0)
    assert patience.after_outage(error, 10.0 + OUTAGE_S) > 0
    with pytest.raises(UnreachableError):
        patience.after_outage(error, 10.1 + OUTAGE_S)


def test_address_and_key_come_from_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    """What is given to the client goes before. The key is sent with each request."""
    monkeypatch.setenv("FLOWENGINE_URL", "https://flows.example/engine/")
    monkeypatch.setenv("FLOWENGINE_KEY", "fe_key\n")
    stack = Stack({"key": "ops", "role": "read"})
    with Client(transport=httpx.MockTransport(stack)) as client:
        assert client.me().role == "read"
    assert str(stack.requests[0].url) == "https://flows.example/engine/me"
    assert stack.requests[0].headers["authorization"] == "Bearer fe_key"
    assert (address("http://[::1]:9/", None).url, address(None, None, {}).key) == ("http://[::1]:9", None)


@pytest.mark.parametrize(
    ("url", "key"),
    [
        ("stack:8000", None),
        ("ftp://stack", None),
        ("http://ops:secret@stack", None),
        ("http://stack:port", None),
        ("http://stack/?key=secret", None),
        ("http://stack", "fe_\r\nHost: other"),
    ],
)
def test_address_that_cannot_be_is_refused(url: str, key: str | None) -> None:
    """Without repeating what may be a secret."""
    with pytest.raises(SettingsError) as raised:
        Client(url, key=key)
    assert "secret" not in str(raised.value)


def test_every_call_is_a_method_with_its_signature() -> None:
    """Each description has its method, and `help` shows its parameters."""
    told = {
        name
        for module in (calls, definition_calls)
        for name, value in vars(module).items()
        if inspect.isfunction(value) and value.__module__ == module.__name__ and not name.startswith("_")
    }
    methods = {name for name, value in vars(Methods).items() if isinstance(value, Method | Iteration)}
    assert told <= methods
    with client_of(Stack({})) as client:
        assert str(inspect.signature(client.cancel)).startswith("(execution_id: 'str', *, reason:")
        assert client.cancel.__doc__ == calls.cancel.__doc__


def test_a_definition_is_applied_and_started() -> None:
    """Its text goes as it is, its name as one part of the path; an apply that was cut off is repeated."""
    applied = {"name": "a/b", "version": 2, "previous": 1, "applied_at": "2026-03-01T08:00:00.000Z"}
    started = {**STARTED, "version": 2}
    stack = Stack(httpx.ReadError("reset"), applied, started, started, status=200)
    with client_of(stack) as client:
        assert client.apply("a b", DOCUMENT).version == 2
        assert client.start_definition("a b", version=2, inputs={"day": 1}).version == 2
        client.start_definition("a b")
    assert stack.asked == [
        "PUT /definitions/a%20b",
        "PUT /definitions/a%20b",
        "POST /definitions/a%20b/trigger?version=2",
        "POST /definitions/a%20b/trigger",
    ]
    assert stack.requests[1].content.decode() == DOCUMENT
    assert stack.body(2) == {"inputs": {"day": 1}}
    keys = [request.headers.get("idempotency-key") for request in stack.requests]
    assert keys[:2] == [None, None]
    assert keys[2] != keys[3]


@pytest.mark.parametrize("broken", [httpx.ReadError("reset"), httpx.RemoteProtocolError("closed")])
def test_start_whose_connection_breaks_is_sent_again(broken: Exception) -> None:
    """Once, with the same key, so that it is done once; with both clients."""

    async def awaited(stack: Stack) -> str:
        async with AsyncClient(URL, transport=httpx.MockTransport(stack)) as client:
            return (await client.start(DOCUMENT)).execution_id

    stacks = [Stack(broken, STARTED, status=202) for _ in range(2)]
    with client_of(stacks[0]) as client:
        assert client.start(DOCUMENT).execution_id == "a" * 27
    assert asyncio.run(awaited(stacks[1])) == "a" * 27
    for stack in stacks:
        first, again = stack.requests
        assert first.headers["idempotency-key"] == again.headers["idempotency-key"]
        assert first.content == again.content
    stack = Stack(broken)
    with (
        client_of(stack) as client,
        pytest.raises(UnreachableError, match="idempotency_key='mine' it is don"),
    ):
        client.trigger("x", idempotency_key="mine")
    assert [each.headers["idempotency-key"] for each in stack.requests] == ["mine"] * 2


def test_what_has_no_key_or_was_never_heard_is_not_sent_again() -> None:
    """A cancel is told of as unknown; where nobody listens, that is said at once."""
    reset, nobody = Stack(httpx.ReadError("reset")), Stack(httpx.ConnectError("refused"))
    with client_of(reset) as client, pytest.raises(UnreachableError, match="look before you repeat it"):
        client.cancel("x")
    with client_of(nobody) as client, pytest.raises(UnreachableError, match="no FlowEngine at"):
        client.start(DOCUMENT)
    assert (len(reset.requests), len(nobody.requests)) == (1, 1)


def test_each_call_has_a_key_of_its_own() -> None:
    """A workflow may be started twice on purpose."""
    stack = Stack(STARTED, status=202)
    with client_of(stack) as client:
        client.start(DOCUMENT)
        client.start(DOCUMENT)
        client.create(DOCUMENT, idempotency_key="mine")
    keys = [each.headers["idempotency-key"] for each in stack.requests]
    assert len(set(keys)) == 3
    assert keys[-1] == "mine"


def test_run_gives_the_results_or_what_has_started() -> None:
    """By the status of the answer, which may take longer by the time that is waited."""
    results = {"execution_id": "a" * 27, "status": "completed", "results": {"a": {"result": 1}}, "errors": {}}
    stack = Stack(httpx.Response(202, content=msgspec.json.encode(STARTED)), results)
    with client_of(stack) as client:
        assert isinstance(client.run(DOCUMENT, wait_s=5), StartedView)
        ended = client.run(DOCUMENT)
    assert isinstance(ended, ResultsView)
    assert ended.status == "completed"
    assert stack.asked == [f"POST /workflow?trigger=true&wait={wait_s}" for wait_s in (5, 30)]
    assert [each.extensions["timeout"]["read"] for each in stack.requests] == [35.0, 60.0]
