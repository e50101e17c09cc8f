"""The processes of the services: what they do about a stop."""

from __future__ import annotations

import threading
from collections.abc import Callable

import pytest

from flowengine import orchestrator, worker
from flowengine.settings import Settings
from tests.support.servers.valkey import Valkey


@pytest.mark.parametrize("run_process", [worker.run_process, orchestrator.run_process])
def test_process_that_is_told_to_stop_while_it_starts_takes_no_work(
    run_process: Callable[..., int], valkey: Valkey
) -> None:
    """It took over what another had just handed back, only to hand it back: one more start of a node."""
    stop = threading.Event()
    stop.set()
    settings = Settings(redis_url=valkey.url, throwaway_server=True)
    assert run_process(settings, threads=1, stop=stop, announce=lambda within_s: None) == 0
    with valkey.connect() as client:
        assert client.keys("*") == []
