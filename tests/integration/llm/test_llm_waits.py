"""How long a call may take, when silence ends it, and how a busy service is waited for."""

from __future__ import annotations

import threading
import time
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from flowengine.plugin import HandlerTimeoutError
from tests.support.rigs.handler_runs import Runs
from tests.support.rigs.llm_runs import ask, failing
from tests.support.servers.model_server import ModelReply, ModelServer, chunk, completion, streamed, whole

BUSY = {"error": {"message": "Rate limit reached", "code": "rate_limit_exceeded"}}


@pytest.mark.proves("model-answers-slowly")
def test_a_slow_answer_that_keeps_coming_is_waited_for(runs: Runs, server: ModelServer) -> None:
    """It takes longer than the service may be silent, and is asked for once."""
    pieces: list[object] = []
    for _ in range(8):
        pieces += [chunk("word "), 0.15]
    server.answers(streamed(*pieces, chunk(finish="stop")))
    output = ask(runs, server, LLM_IDLE_SECONDS="1")
    assert output["content"] == "word " * 8
    assert len(server.asked) == 1
    assert output["calls"][0]["seconds"] > 1


def test_an_answer_in_one_piece_may_take_most_of_the_time(runs: Runs, server: ModelServer) -> None:
    """A service that does not stream is silent until it has finished: more than half of the node's time."""
    server.answers(ModelReply(parts=(3.0, *whole(completion("Hello")).parts)))
    assert ask(runs, server, timeout_s=5.5)["content"] == "Hello"
    assert len(server.asked) == 1


@pytest.mark.parametrize("before", [(), (chunk("Hel"),)])
def test_silence_ends_a_call_and_the_next_may_be_silent_for_longer(
    runs: Runs, server: ModelServer, before: tuple[object, ...]
) -> None:
    """Before the answer and within it. A service that is merely slow succeeds in the end."""
    server.answers(streamed(*before, 1.25, chunk("lo", finish="stop")))
    output = ask(runs, server, LLM_IDLE_SECONDS="0.5")
    assert [call["code"] for call in output["calls"]] == ["request_timeout", "request_timeout", None]


def test_a_service_that_stays_silent_fails_the_node_and_the_setting_is_named(
    runs: Runs, server: ModelServer
) -> None:
    """After three tries, with time left."""
    server.answers(streamed(5.0, chunk("lo", finish="stop")))
    found = failing(runs, server, LLM_IDLE_SECONDS="0.1")
    assert found.code == "request_timeout"
    assert not isinstance(found, HandlerTimeoutError)
    assert [error.message.split(" for ")[1] for error in found.errors] == [
        f"{seconds} s (LLM_IDLE_SECONDS)" for seconds in (0.1, 0.2, 0.4)
    ]


def test_comments_keep_a_stream_alive(runs: Runs, server: ModelServer) -> None:
    """Servers send them while a model thinks."""
    pieces: list[object] = []
    for _ in range(6):
        pieces += [b": ping\n\n", 0.1]
    server.answers(streamed(*pieces, chunk("Hello", finish="stop")))
    assert ask(runs, server, LLM_IDLE_SECONDS="0.3")["content"] == "Hello"
    assert len(server.asked) == 1


def test_an_answer_that_is_complete_is_not_held_up_by_an_open_connection(
    runs: Runs, server: ModelServer
) -> None:
    """Some services keep the connection open after `[DONE]`."""
    server.answers(
        ModelReply(
            headers={"Content-Type": "text/event-stream"}, parts=(*streamed(chunk("Hello")).parts, 20.0)
        )
    )
    began = time.monotonic()
    assert ask(runs, server)["content"] == "Hello"
    assert time.monotonic() - began < 8


def test_a_busy_service_is_asked_again_when_it_says_and_no_try_is_lost(
    runs: Runs, server: ModelServer
) -> None:
    """Five times, where three failed tries would be the end."""
    server.answers(*[whole(BUSY, 429, Retry_After="0.1")] * 5, whole(completion("Hello")))
    output = ask(runs, server)
    assert [call["code"] for call in output["calls"]] == ["llm_rate_limited"] * 5 + [None]
    waits = [after - before for before, after in zip(server.at, server.at[1:], strict=False)]
    assert min(waits) >= 0.1


def test_the_tries_after_a_wait_are_three_still(runs: Runs, server: ModelServer) -> None:
    """Waiting takes none of them away, and adds none."""
    server.answers(
        whole(BUSY, 429, Retry_After="0"), whole({"error": "oops"}, 500), whole(BUSY, 429, Retry_After="0"),
        whole({"error": "oops"}, 500),
    )  # fmt: skip
    found = failing(runs, server)
    assert [error.code for error in found.errors] == [
        "llm_rate_limited", "http_server_error", "llm_rate_limited", "http_server_error", "http_server_error",
    ]  # fmt: skip


@pytest.mark.parametrize(
    "reply",
    [
        whole(BUSY, 429, Retry_After="120"),
        whole(BUSY, 429, retry_after_ms="120000"),
        whole(BUSY, 429, x_ratelimit_reset_requests="2m0s"),
        whole({"error": {"message": "Please try again in 120s", "code": 429}}),
        whole([{"error": {"code": 429, "message": "No", "details": [{"retryDelay": "120s"}]}}], 429),
    ],
)
def test_a_wait_that_the_time_does_not_allow_is_not_begun(
    runs: Runs, server: ModelServer, reply: ModelReply
) -> None:
    """The node fails at once, and says how long it would have had to wait."""
    server.answers(reply)
    began = time.monotonic()
    found = failing(runs, server)
    assert time.monotonic() - began < 5
    assert found.code == "llm_rate_limited"
    assert "would have to wait 120 s" in found.message
    assert len(server.asked) == 1


def test_a_busy_service_that_names_no_time_is_tried_three_times(runs: Runs, server: ModelServer) -> None:
    """As any other failure that may pass."""
    server.answers(whole(BUSY, 429))
    assert failing(runs, server).code == "llm_rate_limited"
    assert len(server.asked) == 3


@pytest.mark.proves("model-too-busy")
def test_more_nodes_than_the_service_allows_all_end(runs: Runs, server: ModelServer) -> None:
    """Sixty nodes, twenty requests in a time; each refusal says when the next time begins."""
    window_s, allowed = 0.6, 20
    started, lock, used = time.monotonic(), threading.Lock(), dict[int, int]()

    def decide(asked: dict[str, Any]) -> ModelReply:
        with lock:
            window = int((time.monotonic() - started) / window_s)
            used[window] = used.get(window, 0) + 1
            if used[window] <= allowed:
                return whole(completion(asked["messages"][0]["content"]))
            left_s = (window + 1) * window_s - (time.monotonic() - started)
            return whole(BUSY, 429, retry_after_ms=f"{left_s * 1000:.0f}")

    server.decide = decide
    with ThreadPoolExecutor(60) as threads:
        outputs = list(
            threads.map(
                lambda number: ask(runs, server, {"prompt": f"{number}", "model": "m"}, timeout_s=20),
                range(60),
            )
        )
    assert [output["content"] for output in outputs] == [f"{number}" for number in range(60)]


def test_the_calls_that_are_listed_are_bounded_and_those_that_cost_stay(
    runs: Runs, server: ModelServer
) -> None:
    """A service that refuses a hundred times does not fill the result."""
    paid = completion("", "error", {"total_tokens": 7})
    server.answers(whole(paid), *[whole(BUSY, 429, Retry_After="0")] * 25, whole(completion("Hello")))
    calls = ask(runs, server, FLOWENGINE_RETRY_BASE_SECONDS="0")["calls"]
    assert len(calls) == 20
    assert calls[0]["usage"] == {"total_tokens": 7}
    assert calls[-1]["code"] is None
