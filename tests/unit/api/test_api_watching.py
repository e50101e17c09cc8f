"""Server-sent events over HTTP: their form, where they begin, and when they end."""

from __future__ import annotations

import contextlib
import json
from collections.abc import Iterator, Mapping

import httpx
import pytest
from msgspec.structs import replace

from flowengine.api.access import current_keys
from flowengine.api.access.api_keys import key_of_entry, new_key
from flowengine.api.watching import event_stream
from flowengine.execution.events import Event
from flowengine.execution.history.places import Place
from flowengine.execution.history.views import event_view
from tests.support.servers.served_api import ServedApi, served_api

ONE_NODE = {"name": "One", "nodes": [{"id": "a", "handler": "echo"}]}
STREAM = {"Accept": "text/event-stream"}
PLACES = [Place(1000 + number // 2, 0, number % 2) for number in range(4)]


@pytest.fixture(scope="module")
def api() -> Iterator[ServedApi]:
    with served_api() as served:
        yield served


def stored(api: ServedApi, *, ended: bool = True) -> str:
    """The events of an execution that has four of them."""
    execution: str = api.client.post("/workflow", json=ONE_NODE).json()["execution_id"]
    found = api.store.stored[execution]
    found.events = [event_view(place, Event("node_queued", 1000, "a", 1, 1)) for place in PLACES]
    found.status = "completed" if ended else "running"
    return f"/workflows/{execution}/events"


def ask(api: ServedApi, path: str, **headers: str) -> httpx.Response:
    """The whole stream, which ends."""
    return api.client.get(path, headers={**STREAM, **headers})


def blocks(text: str) -> list[Mapping[str, str]]:
    """The fields of each event of a stream."""
    found = [
        dict(line.split(": ", 1) for line in block.splitlines() if not line.startswith(":"))
        for block in text.split("\n\n")
    ]
    return [block for block in found if "event" in block]


def test_a_stream_tells_all_and_ends_with_the_execution(api: ServedApi) -> None:
    """Each event has its place, its name, and the JSON that pages have."""
    path = stored(api)
    answer = ask(api, path)
    assert (answer.status_code, answer.headers["content-type"].split(";")[0]) == (200, STREAM["Accept"])
    assert answer.headers["cache-control"] == "no-store"
    told = blocks(answer.text)
    assert [(block["id"], block["event"]) for block in told] == [(str(place), "event") for place in PLACES]
    assert [json.loads(block["data"]) for block in told] == api.client.get(path).json()["items"]


def test_a_stream_goes_on_behind_the_last_event(api: ServedApi) -> None:
    """Without gap or repeat."""
    told = blocks(ask(api, stored(api), **{"Last-Event-ID": str(PLACES[1])}).text)
    assert [block["id"] for block in told] == [str(place) for place in PLACES[2:]]


def test_a_stream_tells_that_events_are_gone(api: ServedApi) -> None:
    """Before it goes on with those that are left."""
    path = stored(api)
    api.store.stored[path.split("/")[2]].is_cut = True
    assert [block["event"] for block in blocks(ask(api, path).text)] == ["cut"] + ["event"] * 4


def test_a_stream_that_cannot_begin_is_refused(api: ServedApi) -> None:
    """With a problem document, as everywhere."""
    unknown = ask(api, "/workflows/19b7ca98f2ef2c4d1b3a9e87f60/events")
    assert (unknown.status_code, unknown.json()["code"]) == (404, "execution_not_found")
    odd = ask(api, stored(api), **{"Last-Event-ID": "7"})
    assert (odd.status_code, odd.json()["code"]) == (422, "invalid_parameter")
    flag = ask(api, f"{stored(api)}?logs=yes")
    assert (flag.status_code, flag.json()["code"]) == (422, "invalid_parameter")


@pytest.mark.parametrize("given", ["limit=1", f"cursor={PLACES[1]}"])
def test_a_stream_refuses_what_is_of_pages(api: ServedApi, given: str) -> None:
    """A stream that began elsewhere than it was asked to would be taken for the right one."""
    answer = ask(api, f"{stored(api)}?{given}")
    assert (answer.status_code, answer.json()["code"]) == (422, "invalid_parameter")
    assert f"'{given.split('=')[0]}' is not one of a stream" in answer.json()["detail"]


def test_the_head_of_a_stream_ends(api: ServedApi) -> None:
    """Nothing would be sent, for ever."""
    for path in (stored(api, ended=False), "/events"):
        answer = api.client.head(path, headers=STREAM)
        assert (answer.status_code, answer.content) == (200, b"")
        assert answer.headers["content-type"].startswith("text/event-stream")


def test_a_silent_stream_says_that_it_is_open(api: ServedApi, monkeypatch: pytest.MonkeyPatch) -> None:
    """A comment now and then, so that nothing in between closes it."""
    monkeypatch.setattr("flowengine.api.watching.event_stream.KEEP_ALIVE_S", 0.01)
    path = stored(api, ended=False)
    with api.client.stream("GET", path, headers=STREAM) as answer:
        comments = (line for line in answer.iter_lines() if line.startswith(":"))
        assert [next(comments) for _ in range(3)] == [": nothing new"] * 3


def test_only_so_many_may_watch(api: ServedApi, monkeypatch: pytest.MonkeyPatch) -> None:
    """Others need connections too."""
    monkeypatch.setattr("flowengine.api.watching.live_reader.LiveReader.is_full", True)
    answer = ask(api, stored(api))
    assert (answer.status_code, answer.json()["code"]) == (503, "too_busy")


def test_open_streams_end_with_their_server() -> None:
    """In order, so that a client knows that it may come again."""
    with served_api() as api:
        path = stored(api, ended=False)
        with api.client.stream("GET", path, headers=STREAM) as answer:
            lines = answer.iter_lines()
            assert next(lines) == "retry: 1000"
            api.stop()
            assert [line for line in lines if line.startswith("id")][-1] == f"id: {PLACES[-1]}"


@pytest.mark.proves("key-revoked")
def test_revoked_key_ends_its_streams(monkeypatch: pytest.MonkeyPatch) -> None:
    """It is told of nothing that happens afterwards; another key's stream goes on."""
    monkeypatch.setattr(event_stream, "CHECKED_EACH_S", 0.05)
    monkeypatch.setattr(current_keys, "REFRESHED_AFTER_S", 0.05)
    with served_api() as api, contextlib.ExitStack() as opened:
        path = stored(api, ended=False)
        execution = api.store.stored[path.split("/")[2]]
        streams = {}
        for key_id in ("gone", "kept"):
            secret, entry = new_key(key_id, "read")
            api.access.add(replace(key_of_entry(entry), kept_in="redis"))
            headers = {**STREAM, "Authorization": f"Bearer {secret}"}
            answer = opened.enter_context(api.client.stream("GET", path, headers=headers))
            assert answer.status_code == 200
            streams[key_id] = answer.iter_text()
            while str(PLACES[-1]) not in next(streams[key_id]):
                pass
        del api.access.stored["gone"]
        assert "event:" not in "".join(streams["gone"])
        later = Place(2000, 0, 0)
        execution.events.append(event_view(later, Event("node_queued", 2000, "a", 1, 1)))
        while str(later) not in next(streams["kept"]):
            pass
