"""A server and handlers for each test."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.support.rigs.handler_runs import Runs, running
from tests.support.servers.http_server import HttpServer, serving


@pytest.fixture
def server() -> Iterator[HttpServer]:
    """A server of the test's own."""
    with serving() as made:
        yield made


@pytest.fixture
def runs() -> Iterator[Runs]:
    """Handlers that may call it, and retry at once."""
    with running() as made:
        yield made
