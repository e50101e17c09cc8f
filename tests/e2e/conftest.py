"""One stack for the tests that break nothing, and one HTTP server for its nodes to call."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.support.http_server import HttpServer, json_reply, serving
from tests.support.stack_processes import Stack, running_stack

ODD_HANDLERS = "tests.e2e.odd_handlers"


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
    """A stack for the whole session. Whatever is thrown at it, no process of it ever ends."""
    settings = {
        "FLOWENGINE_HANDLERS": ODD_HANDLERS,
        "FLOWENGINE_RETRY_BASE_SECONDS": "0.05",
        "LLM_BASE_URL": shared_service.url("/v1"),
        "LLM_API_KEY": "key-of-the-tests",
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
