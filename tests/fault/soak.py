"""`python -m tests.fault.soak --seconds 90`: real processes, real faults, and nothing lost.

Clients run executions of many shapes while processes are killed and stopped, the server is killed and
restarted on its append-only file, and connections are cut, stalled and robbed of replies. At the end
every execution that was accepted has finished, its results are right, every invariant holds, and
nothing is left in queues, pending lists and timers. Exit code 1 otherwise.
"""

from __future__ import annotations

import argparse
import contextlib
import random
import signal
import sys
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from types import FrameType
from typing import Final

import msgspec

from tests.fault.soak_clients import REQUEST_S, Client, Tally
from tests.fault.soak_faults import Injector
from tests.fault.soak_stack import ORPHANS_END_WITHIN_S, SoakStack, soaking
from tests.fault.soak_workload import PATH, TIMEOUT_S
from tests.support.http_server import HttpServer, serving
from tests.support.invariants import check_drained, check_everything
from tests.support.waiting import wait_until

CLIENTS: Final = 16
FINISH_WITHIN_S: Final = 60.0
GIVE_UP_WITHIN_S: Final = 2 * REQUEST_S
QUIET_WITHIN_S: Final = TIMEOUT_S + 20.0


class Report(msgspec.Struct, frozen=True):
    """What a soak found."""

    seed: int
    seconds: float
    executions: int
    finished: int
    nodes: int
    retriggered: int
    unanswered: int
    longest_stall_s: float
    faults: dict[str, int]
    events: dict[str, int]
    wrong: tuple[str, ...]

    @property
    def ok(self) -> bool:
        """Whether nothing was lost and everything was right."""
        return not self.wrong and self.executions == self.finished > 0

    def text(self) -> str:
        """For people."""
        verdict = "all right" if self.ok else f"{len(self.wrong)} WRONG"
        lines = [
            f"soak of {self.seconds:.0f} s, seed {self.seed}",
            f"  executions accepted {self.executions}, finished {self.finished}, {verdict}"
            f" ({self.nodes} nodes, {self.retriggered} triggered again)",
            f"  faults survived {sum(self.faults.values())}:",
            *(f"    {count:4} {kind}" for kind, count in sorted(self.faults.items())),
            f"  longest stall {self.longest_stall_s:.1f} s (something ran, nothing finished)",
            f"  requests sent again {self.unanswered}",
            *(f"  log: {event} {count}" for event, count in sorted(self.events.items())),
            *(f"  WRONG {complaint}" for complaint in self.wrong),
        ]
        return "\n".join(lines)


def soak(seconds: float, seed: int) -> Report:
    """Run for so long, then as long as it takes to finish (bounded), and judge."""
    tally = Tally()
    with serving() as service, soaking() as stack:
        injector = Injector(stack, random.Random(seed))
        clients = [
            Client(number, stack.api_urls, service.url(PATH), seed, tally) for number in range(CLIENTS)
        ]
        try:
            for thread in (*clients, injector):
                thread.start()
            _pass(seconds, injector)
            for client in clients:
                client.no_more.set()
            injector.finish()
            _join(clients, FINISH_WITHIN_S)
        finally:
            for client in clients:
                client.no_more.set()
                client.give_up.set()
            injector.stop()
            _join(clients, GIVE_UP_WITHIN_S)
        wrong = [*tally.wrong, *_repeated(service), *_judge(stack)]
        return Report(
            seed=seed,
            seconds=seconds,
            executions=len(tally.accepted),
            finished=tally.finished,
            nodes=tally.nodes,
            retriggered=tally.retriggered,
            unanswered=tally.unanswered,
            longest_stall_s=tally.longest_stall(),
            faults=dict(injector.struck),
            events=_events(stack),
            wrong=tuple(wrong),
        )


def _pass(seconds: float, injector: Injector) -> None:
    until = time.monotonic() + seconds
    while time.monotonic() < until and injector.is_alive():
        time.sleep(0.1)


def _join(clients: Sequence[Client], within_s: float) -> None:
    deadline = time.monotonic() + within_s
    for client in clients:
        if client.is_alive():
            client.join(max(0.0, deadline - time.monotonic()))


def _repeated(service: HttpServer) -> Iterator[str]:
    """Calls of the second run by a node that had completed in the first: it must not run again."""
    for call in service.called(PATH):
        execution, run, node = call.headers["idempotency-key"].split("-", 2)
        if run != "1":
            yield f"{execution}: {node} had completed in run 1 and was called in run {run}"


def _judge(stack: SoakStack) -> Iterator[str]:
    """What is left behind, and what contradicts itself."""
    with stack.valkey.connect(socket_timeout=30) as client:
        try:
            wait_until(
                lambda: not client.zcard("fe:index:running") and _is_drained(client),
                within_s=QUIET_WITHIN_S,
                what="an end of everything",
            )
            check_everything(client)
        except AssertionError as error:
            yield str(error)
            with contextlib.suppress(AssertionError):
                check_drained(client)
    try:
        wait_until(
            lambda: not stack.orphans_left(), within_s=ORPHANS_END_WITHIN_S, what="the end of all orphans"
        )
    except AssertionError as error:
        yield f"{error}: {stack.orphans_left()}"
    for record in stack.records("sweep.repaired"):
        yield f"the sweep had something to repair: {dict(record)}"


def _is_drained(client: object) -> bool:
    try:
        check_drained(client)
    except AssertionError:
        time.sleep(0.2)
        return False
    return True


def _events(stack: SoakStack) -> dict[str, int]:
    """How often each warning and error was logged, by all processes."""
    found: Counter[str] = Counter()
    for process in [*stack.ended, *stack.processes()]:
        found.update(str(record.get("event"))[:80] for record in process.records())
    return dict(found)


def main(arguments: Sequence[str] | None = None) -> int:
    """The command. Exit code 0: nothing lost; 1: something was, or is wrong; 130: interrupted."""
    parser = argparse.ArgumentParser(prog="python -m tests.fault.soak", description=__doc__)
    parser.add_argument("--seconds", type=float, default=90.0, help="how long to inject faults [90]")
    parser.add_argument("--seed", type=int, help="of the faults and workflows [a random one]")
    chosen = parser.parse_args(arguments)
    seed = random.SystemRandom().randrange(10**6) if chosen.seed is None else chosen.seed
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, _interrupt)
    sys.stdout.write(f"soaking for {chosen.seconds:.0f} s, seed {seed}\n")
    sys.stdout.flush()
    try:
        report = soak(chosen.seconds, seed)
    except KeyboardInterrupt:
        sys.stdout.write("interrupted; every process has been ended\n")
        return 130
    sys.stdout.write(report.text() + "\n")
    return 0 if report.ok else 1


def _interrupt(number: int, frame: FrameType | None) -> None:
    """The first one ends the soak; later ones must not disturb the ending of its processes."""
    for each in (signal.SIGINT, signal.SIGTERM):
        signal.signal(each, signal.SIG_IGN)
    raise KeyboardInterrupt


if __name__ == "__main__":
    sys.exit(main())
