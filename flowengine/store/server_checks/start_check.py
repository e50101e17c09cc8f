"""What a process checks before it takes part in anything: the server, its own rights on it, what it holds.

A server that does not answer is waited for. One that will never do is refused with what to change.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Iterable, Sequence
from typing import Final

import redis
import structlog

from flowengine.errors import StoreUnavailableError, UnfitServerError
from flowengine.store.admission import parse_info
from flowengine.store.connection.probe import Probe
from flowengine.store.maintenance.format_check import FormatCheck
from flowengine.store.server_checks.needed_commands import (
    DONE_WITHOUT,
    Service,
    grants,
    name_of,
    refused_commands,
)
from flowengine.store.server_checks.server_facts import facts_of, troubles_of, warnings_of
from flowengine.store.state import RedisState
from flowengine.store.task_states import ALIVE_MS

log = structlog.stdlib.get_logger()

RETRY_S: Final = 1.0


class StartCheck:
    """The check of one process: made once, when it is first needed. Thread-safe.

    While it waits, it checks each `retry_s` seconds. A process that has stopped counts as alive for
    `alive_ms`, and a server may be a replica for as long.
    """

    def __init__(
        self,
        state: RedisState,
        service: Service,
        queues: Sequence[str] = (),
        *,
        retry_s: float = RETRY_S,
        alive_ms: int = ALIVE_MS,
    ) -> None:
        self._state = state
        self._service: Service = service
        self._queues = tuple(queues)
        self._format = FormatCheck(state, queues)
        self._retry_s = retry_s
        self._alive_ms = alive_ms
        self._passed = False

    def ensure(self) -> None:
        """Check, unless it has passed before. Raises UnfitServerError, StoreUnavailableError."""
        if self._passed:
            return
        try:
            warnings = inspect_server(self._state.sessions.client, [self._service], self._queues)
        except (redis.RedisError, OSError) as error:
            raise StoreUnavailableError(f"Redis does not answer: {error}") from error
        self._format.ensure()
        self._passed = True
        if not self._state.settings.throwaway_server:
            for warning in warnings:
                log.warning("store.server_warned_of", warning=warning)

    def wait(self, stop: threading.Event) -> None:
        """Check as soon as Redis answers, or until `stop` is set. Raises UnfitServerError.

        What may pass by itself is waited for: processes that were just stopped, a fail-over.
        """
        until = time.monotonic() + self._alive_ms / 1000 + self._retry_s
        told = False
        while not stop.is_set():
            try:
                self.ensure()
                return
            except StoreUnavailableError as error:
                late = time.monotonic() > until
                if isinstance(error, UnfitServerError) and (late or not error.may_pass):
                    raise
                if not told:
                    log.warning("store.waited_for", error=str(error))
                told = True
            stop.wait(self._retry_s)


def inspect_server(client: redis.Redis, services: Iterable[Service], queues: Iterable[str] = ()) -> list[str]:
    """What should be known of a server on which these services can work.

    Raises UnfitServerError with all that keeps them from it, redis.RedisError or OSError if it does not
    answer.
    """
    with Probe(client) as probe:
        optional = probe.ask(*DONE_WITHOUT)
        info = optional[0]
        facts = facts_of(parse_info(info) if isinstance(info, bytes) else {})
        troubles = troubles_of(facts)
        if not any(trouble.blocks for trouble in troubles):
            # What such a server says to commands would only repeat it.
            troubles += refused_commands(probe, services, queues)
    if troubles:
        raise UnfitServerError(
            "; ".join(trouble.reason for trouble in troubles),
            may_pass=all(trouble.may_pass for trouble in troubles),
        )
    missing = [
        name_of(command)
        for command, reply in zip(DONE_WITHOUT, optional, strict=True)
        if isinstance(reply, redis.ResponseError)
    ]
    return [*warnings_of(facts), *([_without(missing)] if missing else [])]


def _without(names: Sequence[str]) -> str:
    costs = {
        "INFO": "what it is and how much memory it has is not known, and not checked",
        "CLIENT|ID": "a process may take a second longer to stop",
    }
    told = "; ".join(costs[name] for name in names if name in costs) or costs["CLIENT|ID"]
    return f"Redis does not let its user run {', '.join(names)}: {told}. To allow it: {grants(names)}"
