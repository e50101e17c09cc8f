"""A stack whose processes may die, and a server whose answers may hang."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.e2e.conftest import ODD_HANDLERS
from tests.support.rigs.stack_processes import Stack, running_stack
from tests.support.servers.http_server import HttpServer, serving

QUICK = {
    "FLOWENGINE_HANDLERS": ODD_HANDLERS,
    "FLOWENGINE_LEASE_SECONDS": "1.5",
    "FLOWENGINE_GRACE_SECONDS": "1",
    "FLOWENGINE_SWEEP_SECONDS": "2",
}


@pytest.fixture
def own_service() -> Iterator[HttpServer]:
    """A server of the test's own, which slow answers cannot outlive."""
    with serving() as server:
        yield server


@pytest.fixture(scope="module")
def quick_stack() -> Iterator[Stack]:
    """A stack with a short lease, whose worker process may die and is started again."""
    # The node that kills its worker each time.
    with running_stack(settings=QUICK, dead_letters=1) as stack:
        yield stack
