"""The soak's faults: which, when, to whom. Drawn from a shuffled deck, so that each kind comes up.

Those that no soak may do without lie on top of the first deck.

A fault is something done to a running stack and, for some, something that ends it later. Nothing here
knows what the stack computes.
"""

from __future__ import annotations

import heapq
import os
import random
import signal
import threading
import time
from collections import Counter
from collections.abc import Callable, Mapping
from contextlib import suppress
from typing import Final, TypeAlias

import msgspec

from tests.fault.soak_stack import LEASE_S, SoakStack

Undo: TypeAlias = Callable[[], object]
PAUSE_S: Final = (0.3, 1.8)
STOP_S: Final = (0.3, 2.5 * LEASE_S)
STALL_S: Final = (0.2, 6.0)
OUTAGE_S: Final = (0.0, 1.5)
_TICK_S: Final = 0.1


class Struck(msgspec.Struct, frozen=True):
    """A fault that did strike: how long it lasts, and what ends it."""

    lasts_s: float = 0.0
    undo: Undo | None = None


class Injector(threading.Thread):
    """Injects faults from `start` to `finish`; counts those that struck, by kind."""

    def __init__(self, stack: SoakStack, rng: random.Random) -> None:
        super().__init__(name="faults", daemon=True)
        self.struck: Counter[str] = Counter()
        self.failure: Exception | None = None
        self._stack = stack
        self._rng = rng
        self._deck = _first_deck(rng)
        self._later: list[tuple[float, int, Undo]] = []
        self._stop_event = threading.Event()

    def run(self) -> None:
        """Strike now and then; end what is due; start again what has died."""
        try:
            due = time.monotonic()
            while not self._stop_event.wait(_TICK_S):
                self._undo(time.monotonic())
                self._stack.revive()
                if time.monotonic() >= due:
                    self._strike()
                    due = time.monotonic() + self._rng.uniform(*PAUSE_S)
        except Exception as error:  # noqa: BLE001 - a thread's error belongs to who joins it
            self.failure = error

    def finish(self) -> None:
        """No more faults; everything runs and is connected again. Raises what the thread died of."""
        self.stop()
        self._undo(float("inf"))
        for proxy in self._stack.proxies.values():
            proxy.heal()
        self._stack.revive()
        if self.failure is not None:
            raise self.failure

    def stop(self) -> None:
        """No more faults; what they have done stays as it is."""
        self._stop_event.set()
        if self.is_alive():
            self.join()

    def _strike(self) -> None:
        if not self._deck:
            self._deck = list(FAULTS)
            self._rng.shuffle(self._deck)
        kind = self._deck.pop()
        struck = FAULTS[kind](self._stack, self._rng)
        if struck is None:
            # No such process at this moment: once more before the next deck.
            if self._deck:
                self._deck.insert(0, kind)
            return
        self.struck[kind] += 1
        if struck.undo is not None:
            order = sum(self.struck.values())
            heapq.heappush(self._later, (time.monotonic() + struck.lasts_s, order, struck.undo))

    def _undo(self, until: float) -> None:
        while self._later and self._later[0][0] <= until:
            heapq.heappop(self._later)[2]()


Fault: TypeAlias = Callable[[SoakStack, random.Random], Struck | None]


def _signal(pid: int, number: int) -> bool:
    with suppress(ProcessLookupError):
        os.kill(pid, number)
        return True
    return False


def _kill(service: str) -> Fault:
    def strike(stack: SoakStack, rng: random.Random) -> Struck | None:
        pids = stack.pids(service)
        return Struck() if pids and _signal(rng.choice(pids), signal.SIGKILL) else None

    return strike


def _kill_supervisor(service: str) -> Fault:
    def strike(stack: SoakStack, rng: random.Random) -> Struck | None:
        supervisors = stack.supervisors(service)
        if not supervisors:
            return None
        stack.orphan(rng.choice(supervisors))
        return Struck()

    return strike


def _stop(service: str) -> Fault:
    def strike(stack: SoakStack, rng: random.Random) -> Struck | None:
        pids = stack.pids(service)
        if not pids or not _signal(pid := rng.choice(pids), signal.SIGSTOP):
            return None
        return Struck(rng.uniform(*STOP_S), lambda: _signal(pid, signal.SIGCONT))

    return strike


def _terminate(service: str) -> Fault:
    def strike(stack: SoakStack, rng: random.Random) -> Struck | None:
        supervisors = stack.supervisors(service)
        if not supervisors:
            return None
        rng.choice(supervisors).terminate()
        return Struck()

    return strike


def _kill_server(stack: SoakStack, rng: random.Random) -> Struck | None:
    stack.valkey.kill()
    time.sleep(rng.uniform(*OUTAGE_S))
    stack.valkey.start()
    return Struck()


def _stop_server(stack: SoakStack, rng: random.Random) -> Struck | None:
    stack.valkey.freeze()
    time.sleep(rng.uniform(*OUTAGE_S))
    stack.valkey.thaw()
    return Struck()


def _cut(stack: SoakStack, rng: random.Random) -> Struck | None:
    proxy = rng.choice(list(stack.proxies.values()))
    return Struck() if proxy.cut(rng.choice((0.1, 0.5, 1.0)), rng) else None


def _halve(stack: SoakStack, rng: random.Random) -> Struck | None:
    proxy = rng.choice(list(stack.proxies.values()))
    return Struck() if proxy.halve_requests(rng.choice((0.1, 0.5)), rng) else None


def _drop(*, silent: bool) -> Fault:
    def strike(stack: SoakStack, rng: random.Random) -> Struck | None:
        proxy = rng.choice(list(stack.proxies.values()))
        return Struck() if proxy.drop_replies(rng.choice((0.1, 0.5)), rng, silent=silent) else None

    return strike


def _stall(stack: SoakStack, rng: random.Random) -> Struck | None:
    proxy = rng.choice(list(stack.proxies.values()))
    return Struck(rng.uniform(*STALL_S), proxy.go_on) if proxy.stall() else None


FAULTS: Final[Mapping[str, Fault]] = {
    "worker killed": _kill("worker"),
    "orchestrator killed": _kill("orchestrator"),
    "API killed": _kill("api"),
    "supervisor killed": _kill_supervisor("worker"),
    "worker told to end": _terminate("worker"),
    "worker stopped and continued": _stop("worker"),
    "orchestrator stopped and continued": _stop("orchestrator"),
    "API stopped and continued": _stop("api"),
    "server killed, restarted on its file": _kill_server,
    "server stopped and continued": _stop_server,
    "connections cut": _cut,
    "connections cut in the middle of a request": _halve,
    "connections stalled": _stall,
    "replies lost, connections cut": _drop(silent=False),
    "replies lost, connections silent": _drop(silent=True),
}

DEMANDED: Final = (
    ("server killed, restarted on its file",),
    ("worker stopped and continued", "orchestrator stopped and continued", "API stopped and continued"),
    ("connections cut", "connections cut in the middle of a request"),
    ("replies lost, connections cut", "replies lost, connections silent"),
)
"""Of each of these at least one must have struck, however short the soak."""


def _first_deck(rng: random.Random) -> list[str]:
    top = [rng.choice(kinds) for kinds in DEMANDED]
    rest = [kind for kind in FAULTS if kind not in top]
    rng.shuffle(rest)
    rng.shuffle(top)
    return [*rest, *top]
