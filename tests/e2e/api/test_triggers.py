"""Triggers: one winner of a race, a retry of only what failed, and keys that expire only after the end."""

from __future__ import annotations

import threading

import httpx
import pytest
import redis

from tests.e2e.documents import add, node, same, workflow
from tests.support.rigs.stack_processes import Stack
from tests.support.servers.http_server import HttpServer, Reply, json_reply
from tests.support.waiting import wait_until

DAY_S = 24 * 3600


def test_of_two_triggers_at_once_exactly_one_starts_it(stack: Stack) -> None:
    """A hundred times: one 202, one 409, and one run."""
    barrier = threading.Barrier(3)
    answers: list[list[int]] = [[], []]
    execution = [stack.create(workflow(add("sum", 1, 1))) for _ in range(100)]

    def trigger(mine: list[int]) -> None:
        with httpx.Client(base_url=stack.client.base_url, trust_env=False, timeout=20) as client:
            for target in execution:
                barrier.wait(20)
                mine.append(client.post(f"/workflow/trigger/{target}").status_code)

    threads = [threading.Thread(target=trigger, args=(mine,)) for mine in answers]
    for thread in threads:
        thread.start()
    for _ in execution:
        barrier.wait(20)
    for thread in threads:
        thread.join(20)
    assert [sorted(pair) for pair in zip(*answers, strict=True)] == [[202, 409]] * 100
    for target in execution:
        assert stack.ended(target).status["run"] == 1


def test_second_trigger_runs_only_what_failed(stack: Stack, service: HttpServer) -> None:
    """The completed nodes' services are not called again; their results are still there to be read."""
    service.answers("/once", json_reply(20))
    service.answers("/flaky", Reply(status=400), json_reply(22))
    document = workflow(
        node("good", "http_request", url=service.url("/once")),
        node("flaky", "http_request", url=service.url("/flaky"), after=["good"]),
        add("sum", "{{ good.result }}", "{{ flaky.result }}", after=["flaky"]),
        same("beside", "{{ good.result }}", after=["good"]),
    )
    first = stack.run(document)
    assert first.status["status"] == "failed"
    assert first.errors["sum"]["caused_by"] == "flaky"

    answer = stack.client.post(f"/workflow/trigger/{first.status['execution_id']}")
    assert answer.json() == {
        "execution_id": first.status["execution_id"],
        "status": "running",
        "run": 2,
    }
    second = stack.ended(first.status["execution_id"])
    assert second.status["status"] == "completed"
    assert second.errors == {}
    assert second.results["sum"] == {"result": 42}
    assert (service.count("/once"), service.count("/flaky")) == (1, 2)
    assert second.node("good") == first.node("good")
    assert second.node("beside") == first.node("beside")
    assert second.node("flaky")["attempt"] == 2
    keys = [call.headers["idempotency-key"] for call in service.called("/flaky")]
    assert len(set(keys)) == 2, "another run is another piece of work"


def test_execution_can_fail_again_and_be_triggered_again(stack: Stack, service: HttpServer) -> None:
    """Run 3 is as good as run 2."""
    service.answers("/third", Reply(status=400), Reply(status=400), json_reply("at last"))
    ended = stack.run(workflow(node("call", "http_request", url=service.url("/third"))))
    for run in (2, 3):
        assert ended.status["status"] == "failed"
        stack.trigger(ended.status["execution_id"])
        ended = stack.ended(ended.status["execution_id"])
        assert ended.status["run"] == run
    assert ended.results["call"]["data"] == "at last"


def lifetimes(server: redis.Redis, execution: str) -> dict[bytes, int]:
    """Seconds left by key of one execution; -1 never expires."""
    return {key: server.ttl(key) for key in server.scan_iter(f"fe:x:{execution}:*", count=1000)}


def test_keys_expire_after_the_end_and_not_before(stack: Stack, service: HttpServer) -> None:
    """Every key of an ended execution has a TTL, none of a running one; a re-trigger takes it off."""
    looked = [threading.Event(), threading.Event()]
    service.answers("/slow", Reply(until=looked[0], status=400), Reply(until=looked[1]))
    document = workflow(
        add("first", 1, 1),
        node("slow", "http_request", url=service.url("/slow"), after=["first"]),
        add("join", 1, 1, after=["first", "slow"]),
    )
    with stack.valkey.connect() as server:
        execution = stack.create(document)
        pending = lifetimes(server, execution)
        assert pending
        assert all(6 * DAY_S < left <= 7 * DAY_S + 120 for left in pending.values())
        for run in (1, 2):
            stack.trigger(execution)
            wait_until(stack.node_is(execution, "slow", "running"), what="a node that runs")
            assert set(lifetimes(server, execution).values()) == {-1}
            looked[run - 1].set()
            ended = stack.ended(execution)
            assert ended.status["status"] == ("failed" if run == 1 else "completed")
            kept = lifetimes(server, execution)
            assert len(kept) > len(pending)
            assert all(6 * DAY_S < left <= 7 * DAY_S + 120 for left in kept.values()), kept


def test_a_workflow_that_starts_as_it_is_posted_runs_and_reads_its_labels(stack: Stack) -> None:
    """Those of the document and those of the caller; nobody triggers it."""
    reads = "{{ execution.labels.team }}, {{ execution.labels.customer }}"
    document = {
        **workflow({"id": "said", "handler": "set", "config": {"value": reads}}),
        "labels": {"team": "data"},
    }
    body = {"workflow": document, "labels": {"customer": "7"}, "trigger": True}
    answer = stack.client.post("/workflow", json=body)
    assert (answer.status_code, answer.json()["run"]) == (202, 1)
    ended = stack.ended(answer.json()["execution_id"])
    assert ended.results == {"said": {"result": "data, 7"}}
    assert ended.status["labels"] == {"team": "data", "customer": "7"}
    kept = stack.client.get(f"/workflows/{answer.json()['execution_id']}/document")
    assert (kept.json(), kept.headers["content-type"]) == (document, "application/json")


@pytest.mark.proves("request-repeated")
def test_a_start_that_is_repeated_and_waited_for_gives_the_results_of_one_execution(stack: Stack) -> None:
    """Its answer is held until it has ended; the repetition is answered alike."""
    document = workflow({"id": "said", "handler": "set", "config": {"value": 1}})

    def ask() -> httpx.Response:
        return stack.client.post(
            "/workflow?trigger=true&wait=30", json=document, headers={"Idempotency-Key": "start-and-wait"}
        )

    first, again = ask(), ask()
    assert (first.status_code, first.json()["results"]) == (200, {"said": {"result": 1}})
    assert (again.status_code, again.content) == (200, first.content)
    assert again.headers["idempotency-replayed"] == "true"


def test_a_trigger_that_is_waited_for_gives_the_results(stack: Stack) -> None:
    """Of what fails too; one that takes longer is answered as ever."""
    failing = workflow({"id": "a", "handler": "assert", "config": {"that": False, "message": "on purpose"}})
    execution = stack.client.post("/workflow", json=failing).json()["execution_id"]
    answer = stack.client.post(f"/workflow/trigger/{execution}?wait=30")
    assert (answer.status_code, answer.json()["status"]) == (200, "failed")
    assert answer.json()["errors"]["a"]["message"].endswith("on purpose")
