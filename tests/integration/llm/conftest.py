"""A scripted server and handlers for each test."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.support.rigs.handler_runs import Runs, running
from tests.support.servers.model_server import ModelServer, model_server


@pytest.fixture
def server() -> Iterator[ModelServer]:
    """A server of the test's own."""
    with model_server() as made:
        yield made


@pytest.fixture
def runs() -> Iterator[Runs]:
    """Handlers under the default rules: private networks, but no loopback."""
    with running("private") as made:
        yield made
