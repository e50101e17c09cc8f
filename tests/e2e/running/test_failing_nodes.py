"""A node that fails: its error is clear, its dependants name it, and the rest of the execution goes on."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pytest

from tests.e2e.documents import add, node, workflow
from tests.e2e.odd_handlers import ODD_FAILURES, ODD_RESULTS
from tests.support.rigs.stack_processes import Ended, Stack
from tests.support.servers.http_server import HttpServer, Reply, json_reply
from tests.support.servers.valkey import free_port
from tests.support.waiting import wait_until


def beside_good_ones(bad: dict[str, Any]) -> dict[str, Any]:
    """A document with the node `bad`, two generations below it, and a branch that does not depend on it."""
    return workflow(
        bad,
        add("child", 1, 1, after=["bad"]),
        add("grandchild", 1, 1, after=["child", "good"]),
        add("good", 20, 1),
        add("better", "{{ good.result }}", 21, after=["good"]),
    )


def run_beside_good_ones(stack: Stack, handler: str, **config: Any) -> dict[str, Any]:
    """The error of such a node, after a check that only its own branch failed."""
    ended = stack.run(beside_good_ones(node("bad", handler, **config)))
    assert_only_branch_failed(ended)
    error: dict[str, Any] = ended.errors["bad"]
    return error


def assert_only_branch_failed(ended: Ended) -> None:
    """Fails unless exactly the nodes below have failed, with the cause named."""
    assert ended.status["status"] == "failed"
    assert ended.results == {"good": {"result": 21}, "better": {"result": 42}}
    assert set(ended.errors) == {"bad", "child", "grandchild"}
    assert ended.errors["bad"]["caused_by"] is None
    for name in ("child", "grandchild"):
        assert ended.node(name)["status"] == "failed"
        assert ended.errors[name]["code"] == "upstream_failed"
        assert "bad" in ended.errors[name]["caused_by"] or "child" in ended.errors[name]["caused_by"]
        assert "bad" in ended.errors[name]["message"]
    assert ended.status["counts"]["failed"] == 3


FAILURES: dict[str, tuple[str, dict[str, Any], str, str]] = {
    "division by zero": (
        "compute",
        {"operation": "divide", "a": 1, "b": 0},
        "division_by_zero",
        "zero",
    ),
    "an output of 2 MiB": ("test_big", {"size": 2 * 1024 * 1024}, "result_too_large", "1048576"),
    "an output of 10 MB": ("test_big", {"size": 10_000_000}, "result_too_large", "1048576"),
    "an output of depth 10,000": ("test_deep", {"size": 10_000}, "unencodable_result", "recursion"),
    "an output that contains itself": ("test_endless", {}, "unencodable_result", "recursion"),
    "half a character": ("test_half_a_character", {}, "unencodable_result", "surrogate"),
    "an output that JSON cannot carry": ("test_unencodable", {}, "unencodable_result", "object"),
    "an output that is no number": ("test_not_finite", {}, "unencodable_result", "nan"),
    "an exception of user code": ("test_raise", {}, "handler_error", "no such customer"),
    "text that is no JSON": (
        "transform",
        {"transform_type": "json_parse", "input": "{oops"},
        "invalid_json",
        "JSON",
    ),
}


@pytest.mark.proves("hostile-output")
@pytest.mark.parametrize("case", FAILURES)
def test_failure_is_told_clearly_and_stays_in_its_branch(stack: Stack, case: str) -> None:
    """FAILED with a code and a message that says what happened."""
    handler, config, code, mentions = FAILURES[case]
    error = run_beside_good_ones(stack, handler, **config)
    assert error["code"] == code
    assert mentions in error["message"]
    assert error["attempts"] == 1


@pytest.mark.proves("failure-of-anything")
def test_odd_failures_and_results_run_once(stack: Stack) -> None:
    """Such a node ran three times and ended as `worker_lost`, although no worker had died."""
    failing = {
        f"f{at}": node(f"f{at}", "test_odd_failure", given=case) for at, case in enumerate(ODD_FAILURES)
    }
    giving = {f"r{at}": node(f"r{at}", "test_odd_result", given=case) for at, case in enumerate(ODD_RESULTS)}
    ended = stack.run(workflow(*failing.values(), *giving.values(), add("good", 1, 1)))
    codes = {name: error["code"] for name, error in ended.errors.items()}
    tolerated = {"f6": "c", "r0": None}
    expected = dict.fromkeys(failing, "handler_error") | dict.fromkeys(giving, "unencodable_result")
    assert codes == {name: code for name, code in (expected | tolerated).items() if code}
    assert ended.results == {"good": {"result": 2}, "r0": {"result": 1}}
    assert "bad \\udcff name" in ended.errors["f0"]["message"]
    assert [tried["code"] for tried in ended.errors["f6"]["errors"]] == ["handler_error", "\\udcff"]
    began = [
        line["node_id"]
        for line in stack.only("worker").records("odd.began")
        if line["execution_id"] == ended.status["execution_id"]
    ]
    assert sorted(began) == sorted([*failing, *giving])


def test_template_that_fails_to_render_fails_its_node(stack: Stack) -> None:
    """A field that the upstream output does not have is known only when it runs."""
    ended = stack.run(
        workflow(
            node("up", "transform", transform_type="json_parse", input='{"there": 2}'),
            add("bad", "{{ up.result.missing.deeper }}", 1, after=["up"]),
            add("child", 1, 1, after=["bad"]),
            add("good", 1, "{{ up.result.there }}", after=["up"]),
        )
    )
    assert ended.errors["bad"]["code"].startswith("template")
    assert "missing" in ended.errors["bad"]["message"]
    assert ended.errors["child"]["caused_by"] == "bad"
    assert set(ended.results) == {"up", "good"}


def test_value_of_the_wrong_type_is_found_after_rendering(stack: Stack) -> None:
    """What a template gave is held to the handler's schema, and the field is named."""
    ended = stack.run(
        workflow(
            node("up", "transform", transform_type="json_parse", input='{"not": "a list"}'),
            node("bad", "aggregate", after=["up"], aggregate_type="sum", inputs="{{ up.result }}"),
        )
    )
    assert ended.errors["bad"]["code"] == "invalid_config"
    assert "inputs" in ended.errors["bad"]["message"]


def test_404_fails_after_one_attempt(stack: Stack, service: HttpServer) -> None:
    """A client error is final."""
    service.answers("/gone", Reply(status=404, body=b"no such thing"))
    error = run_beside_good_ones(stack, "call_external_service", url=service.url("/gone"))
    assert error["code"] == "http_client_error"
    assert "404" in error["message"]
    assert error["attempts"] == service.count("/gone") == 1


def test_answer_that_lies_about_being_json_fails(stack: Stack, service: HttpServer) -> None:
    """A response that claims to be JSON and is not fails a node that requires JSON."""
    service.answers("/lies", Reply(body=b"<html>", headers={"Content-Type": "application/json"}))
    error = run_beside_good_ones(stack, "http_request", url=service.url("/lies"), require_json=True)
    assert error["code"] == "invalid_response"


def test_500_thrice_fails_after_three_attempts(stack: Stack, service: HttpServer) -> None:
    """Each attempt's error is kept, in the status and in the results."""
    service.answers("/broken", Reply(status=500, body=b"oh no"))
    error = run_beside_good_ones(stack, "call_external_service", url=service.url("/broken"))
    assert error["code"] == "http_server_error"
    assert error["attempts"] == service.count("/broken") == 3
    assert [tried["code"] for tried in error["errors"]] == ["http_server_error"] * 3
    assert all("oh no" in tried["message"] for tried in error["errors"])


def test_connection_refused_is_tried_three_times(stack: Stack) -> None:
    """Nobody listens: the node fails after three attempts."""
    error = run_beside_good_ones(stack, "http_request", url=f"http://127.0.0.1:{free_port()}/")
    assert error["code"] == "connection_failed"
    assert error["attempts"] == 3
    assert len(error["errors"]) == 3


def test_service_that_recovers_is_not_noticed_by_the_workflow(stack: Stack, service: HttpServer) -> None:
    """503, a broken connection, then 200: completed, and every try carried the same key."""
    service.answers("/recovers", Reply(status=503), Reply(cut=True), json_reply("fine"))
    ended = stack.run(workflow(node("call", "http_request", url=service.url("/recovers"))))
    assert ended.results["call"]["data"] == "fine"
    keys = {call.headers["idempotency-key"] for call in service.called("/recovers")}
    assert (service.count("/recovers"), len(keys)) == (3, 1)


def test_429_is_retried_once_and_no_sooner_than_it_asks(stack: Stack, service: HttpServer) -> None:
    """429 with `Retry-After: 2`, then 200: one retry, two seconds later."""
    service.answers("/busy", Reply(status=429, headers={"Retry-After": "2"}), json_reply("now"))
    ended = stack.run(workflow(node("call", "call_external_service", url=service.url("/busy"))))
    assert ended.results["call"]["data"] == "now"
    first, second = service.called("/busy")
    assert 2.0 <= second.at - first.at < 30.0


def test_two_parents_that_fail_at_once_end_the_execution(stack: Stack) -> None:
    """Both failures reach the shared children, which are counted once."""
    for _ in range(5):
        ended = stack.run(
            workflow(
                node("left", "test_raise"),
                node("right", "test_raise"),
                add("joined", 1, 1, after=["left", "right"]),
                add("below", 1, 1, after=["joined"]),
                add("good", 1, 1),
            )
        )
        assert set(ended.errors) == {"left", "right", "joined", "below"}
        assert ended.errors["joined"]["caused_by"] in ("left", "right")
        assert ended.results == {"good": {"result": 2}}


def test_deadline_ends_a_handler_that_can_be_cancelled(stack: Stack) -> None:
    """An async handler is cancelled at its `timeout_seconds`; others are not held up."""
    ended = stack.run(
        workflow(
            node("bad", "test_wait", timeout=1, seconds=60),
            add("child", 1, 1, after=["bad"]),
            add("good", 1, 1),
        )
    )
    assert ended.errors["bad"]["code"] == "timeout"
    assert ended.errors["child"]["caused_by"] == "bad"
    assert ended.results == {"good": {"result": 2}}


def test_deadline_includes_retries(stack: Stack, service: HttpServer) -> None:
    """A `Retry-After` beyond the node's time is not waited for."""
    service.answers("/later", Reply(status=503, headers={"Retry-After": "30"}))
    ended = stack.run(workflow(node("bad", "http_request", timeout=20, url=service.url("/later"))))
    assert ended.errors["bad"]["code"] == "http_server_error"
    assert "timeout_seconds" in ended.errors["bad"]["message"]
    assert service.count("/later") == 1


def test_the_log_says_why_a_node_failed(stack: Stack) -> None:
    """Code and message on one line, so that nobody has to ask the API."""
    ended = stack.run(workflow(node("bad", "compute", operation="divide", a=1, b=0)))
    execution = ended.status["execution_id"]

    def lines() -> list[Mapping[str, Any]]:
        found = stack.only("worker").records("node.failed")
        return [line for line in found if line["execution_id"] == execution]

    wait_until(lines, what="the line")
    (line,) = lines()
    assert line["code"] == "division_by_zero"
    assert "cannot divide by zero" in line["error"]
