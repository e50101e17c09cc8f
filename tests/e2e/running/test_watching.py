"""Executions watched over HTTP while they run, by readers whose connections break."""

from __future__ import annotations

import threading
from collections.abc import Iterator

import httpx
import msgspec
import pytest

from tests.e2e.documents import add, node, workflow
from tests.support.rigs.stack_processes import Stack

STREAM = {"Accept": "text/event-stream"}


class Told(msgspec.Struct, frozen=True):
    """One event of a stream."""

    id: str
    name: str
    data: dict[str, object]


def told(answer: httpx.Response) -> Iterator[Told]:
    """The events of a stream, as they come."""
    fields: dict[str, str] = {}
    for line in answer.iter_lines():
        if line and not line.startswith(":"):
            name, _, value = line.partition(": ")
            fields[name] = value
        elif "data" in fields:
            yield Told(fields.get("id", ""), fields["event"], msgspec.json.decode(fields["data"]))
            fields = {}


def watch(url: str, *, cut_after: int) -> list[Told]:
    """All that is told of an execution to a reader whose connection breaks again and again."""
    found: list[Told] = []
    with httpx.Client(timeout=30, trust_env=False) as client:
        while True:
            last = {"Last-Event-ID": found[-1].id} if found else {}
            with client.stream("GET", url, headers={**STREAM, **last}) as answer:
                assert answer.status_code == 200
                count = len(found)
                for each in told(answer):
                    found.append(each)
                    if len(found) == count + cut_after:
                        break
                else:
                    return found


@pytest.mark.proves("watchers-cut")
def test_readers_miss_nothing_and_get_nothing_twice(stack: Stack) -> None:
    """However often their connections break, while the execution runs: each has all of it, once, in order."""
    chain = [node("speaks", "test_speak_slowly", seconds=1.5), add("then", 1, 1, after=["speaks"])]
    execution = stack.start(workflow(*chain, *(add(f"n{number}", 1, number) for number in range(20))))
    url = f"{stack.url}/workflows/{execution}/events?logs=true"
    found: list[list[Told]] = []
    readers = [
        threading.Thread(target=lambda cut=cut: found.append(watch(url, cut_after=cut)))
        for cut in (1, 3, 7, 1000, 1000)
    ]
    for reader in readers:
        reader.start()
    for reader in readers:
        reader.join(60)
    assert len(found) == len(readers)
    first = found[0]
    assert all(other == first for other in found)
    assert len({each.id for each in first}) == len(first)
    events = stack.client.get(f"/workflows/{execution}/events?limit=500").json()["items"]
    assert [each.data for each in first if each.name == "event"] == events
    assert events[-1]["kind"] == "execution_finished"
    lines = stack.client.get(f"/workflows/{execution}/logs?limit=500").json()["items"]
    assert [each.data for each in first if each.name == "line"] == lines
    assert "".join(str(each.data["text"]) for each in first if each.name == "text") == "word " * 10
    steps = [float(str(each.data["done"])) for each in first if each.name == "progress"]
    assert steps == sorted(steps)
    assert steps[-1] == 10


def test_status_changes_are_told_as_they_happen(stack: Stack) -> None:
    """Of any execution, to those who watch them all."""
    with (
        httpx.Client(base_url=stack.url, timeout=30, trust_env=False) as client,
        client.stream("GET", "/events") as answer,
    ):
        execution = stack.start(workflow(add("sum", 1, 1)))
        statuses = []
        for each in told(answer):
            if each.data["execution_id"] == execution:
                statuses.append(each.data["status"])
                if each.data["status"] == "completed":
                    break
    assert statuses == ["pending", "running", "completed"]
