"""One stack for the tests that break nothing, and one HTTP server for its nodes to call."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.support.rigs.stack_processes import START_S, Stack, running_stack
from tests.support.servers.http_server import HttpServer, json_reply, serving
from tests.support.servers.valkey import free_port
from tests.support.waiting import wait_until

ODD_HANDLERS = "tests.e2e.odd_handlers"
WEBHOOK_KEY = "whsec_a2V5LW9mLXRoZS10ZXN0cy1mb3Itd2ViaG9va3M="
READ_BYTES = 300_000
KEPT_BYTES = 500_000


@pytest.fixture(scope="session")
def shared_service() -> Iterator[HttpServer]:
    """The HTTP server that the shared stack knows as its language model."""
    with serving() as server:
        server.answers(
            "/v1/chat/completions",
            json_reply(
                {
                    "model": "gpt-4-0613",
                    "choices": [{"message": {"content": "42 is the answer"}, "finish_reason": "stop"}],
                    "usage": {"prompt_tokens": 9, "completion_tokens": 4, "total_tokens": 13},
                }
            ),
        )
        yield server


@pytest.fixture(scope="session")
def shared_stack(shared_service: HttpServer) -> Iterator[Stack]:
    """A stack for the whole session. Fails at the end if a test has ended any of its processes."""
    settings = {
        "FLOWENGINE_HANDLERS": ODD_HANDLERS,
        "FLOWENGINE_RETRY_BASE_SECONDS": "0.05",
        "LLM_BASE_URL": shared_service.url("/v1"),
        "LLM_API_KEY": "key-of-the-tests",
        "FLOWENGINE_WEBHOOK_KEY": WEBHOOK_KEY,
        "FLOWENGINE_METRICS_PORT": str(free_port()),
    }
    with running_stack(settings=settings) as stack:
        yield stack
        assert [process.exit_code for process in stack.processes] == [None] * 3
        assert not [record for process in stack.processes for record in process.records("process.exited")]


@pytest.fixture
def stack(shared_stack: Stack) -> Stack:
    """The session's stack. Do not stop or reconfigure it: use `running_stack` for that."""
    return shared_stack


@pytest.fixture
def service(shared_service: HttpServer) -> HttpServer:
    """The session's HTTP server. Answers are set by path: use paths of your own."""
    return shared_service


@pytest.fixture(scope="session")
def narrow_stack() -> Iterator[Stack]:
    """A stack with little room for results, whose one worker serves the usual queue and no other."""
    settings = {
        "FLOWENGINE_HANDLERS": f"{ODD_HANDLERS},tests.e2e.queue_handlers",
        "FLOWENGINE_MAX_READ_BYTES": str(READ_BYTES),
        "FLOWENGINE_MAX_EXECUTION_RESULT_BYTES": str(KEPT_BYTES),
    }
    with running_stack(workers=0, settings=settings) as stack:
        stack.start_service("worker", "--queues", "worker")
        wait_until(lambda: stack.checks()["worker (worker)"] == "ok", within_s=START_S, what="the worker")
        yield stack
