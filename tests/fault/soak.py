"""`python -m tests.fault.soak --seconds 90`: real processes, real faults, and nothing lost.

Clients run executions of many shapes, cancel and pause some of them, and complete some nodes by hand, while
processes are killed and stopped, the server is killed and restarted on its append-only file, and connections
are cut, stalled and robbed of replies. At the end every execution that was accepted has finished, its results
are right, each that is one of a definition has started the one that follows it, no more have run under a
limit than may, every invariant holds, nothing is left in queues, pending lists and timers, nothing was logged
as an error that should not be, and enough has happened to say so. Exit code 1 otherwise.
"""

from __future__ import annotations

import argparse
import random
import signal
import sys
import time
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from types import FrameType
from typing import Final

import msgspec
import redis

from flowengine.execution.events import decode_events
from tests.fault.soak_chains import Chains
from tests.fault.soak_clients import REQUEST_S, Client, Tally
from tests.fault.soak_faults import DEMANDED, Injector
from tests.fault.soak_stack import ORPHANS_END_WITHIN_S, SoakStack, soaking
from tests.fault.soak_turns import FREED, Turns
from tests.fault.soak_workload import LIMITS, PATH, TIMEOUT_S
from tests.support.checks.invariants import check_drained, check_everything, is_quiet
from tests.support.servers.http_server import HttpServer, serving
from tests.support.waiting import wait_until

CLIENTS: Final = 16
FINISH_WITHIN_S: Final = 60.0
GIVE_UP_WITHIN_S: Final = 2 * REQUEST_S
QUIET_WITHIN_S: Final = TIMEOUT_S + 20.0
WHOLE_S: Final = 90.0
EXECUTIONS_IN_A_WHOLE: Final = 200
EXECUTIONS_AT_LEAST: Final = 10

ERRORS_ALLOWED: Final[frozenset[str]] = frozenset()
"""What may be logged as an error: nothing. What the engine expects of a fault is a warning."""


class Report(msgspec.Struct, frozen=True):
    """What a soak found."""

    seed: int
    seconds: float
    executions: int
    finished: int
    nodes: int
    retriggered: int
    cancelled: int
    paused: int
    overruled: int
    rerun: int
    forked: int
    followed: int
    limited: int
    unanswered: int
    longest_stall_s: float
    faults: dict[str, int]
    events: dict[str, int]
    wrong: tuple[str, ...]

    @property
    def ok(self) -> bool:
        """Whether nothing was lost and everything was right, and enough was tried to say so."""
        return not self.wrong and not self.lacking and self.executions == self.finished

    @property
    def lacking(self) -> list[str]:
        """What a soak of this length must have tried, and this one has not."""
        least = EXECUTIONS_IN_A_WHOLE if self.seconds >= WHOLE_S else EXECUTIONS_AT_LEAST
        few = [] if self.executions >= least else [f"{self.executions} executions, not {least}"]
        if self.seconds >= WHOLE_S and not self.cancelled:
            few.append("no execution was cancelled")
        if self.seconds >= WHOLE_S and not (self.paused and self.overruled):
            few.append("no execution was paused, or no node completed by hand")
        if self.seconds >= WHOLE_S and not (self.rerun and self.forked):
            few.append("no execution that had completed ran again, or none as a new one")
        if self.seconds >= WHOLE_S and not self.followed:
            few.append("no end has started another execution")
        if self.seconds >= WHOLE_S and not self.limited:
            few.append("nothing has run under a limit")
        return few + [
            f"no fault of the kind: {' or '.join(kinds)}"
            for kinds in DEMANDED
            if not any(self.faults.get(kind) for kind in kinds)
        ]

    def text(self) -> str:
        """For people."""
        verdict = f"{len(self.wrong)} WRONG" if self.wrong else "all right"
        lines = [
            f"soak of {self.seconds:.0f} s, seed {self.seed}",
            f"  executions accepted {self.executions}, finished {self.finished}, {verdict}"
            f" ({self.nodes} nodes, {self.retriggered} triggered again, {self.cancelled} cancelled,"
            f" {self.paused} paused, {self.overruled} nodes completed by hand, {self.rerun} run again,"
            f" {self.forked} as new ones, {self.followed} followed by others,"
            f" {self.limited} calls counted under limits)",
            f"  faults survived {sum(self.faults.values())}:",
            *(f"    {count:4} {kind}" for kind, count in sorted(self.faults.items())),
            f"  longest stall {self.longest_stall_s:.1f} s (something ran, nothing finished)",
            f"  requests sent again {self.unanswered}",
            *(f"  log: {event} {count}" for event, count in sorted(self.events.items())),
            *(f"  WRONG {complaint}" for complaint in self.wrong),
            *(f"  LACKING {what}" for what in self.lacking),
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
            # What was killed last may take its time to start on a busy machine.
            stack.wait_until_it_serves()
            _join(clients, FINISH_WITHIN_S)
        finally:
            for client in clients:
                client.no_more.set()
                client.give_up.set()
            injector.stop()
            _join(clients, GIVE_UP_WITHIN_S)
        wrong = [*tally.wrong, *_repeated(service, tally), *_judge(stack)]
        with stack.valkey.connect(socket_timeout=30) as server:
            chains = Chains(server)
            wrong += chains.mistakes()
            turns = Turns(stack.turns, _freed(server))
            wrong += turns.mistakes(LIMITS)
        return Report(
            seed=seed,
            seconds=seconds,
            executions=len(tally.accepted),
            finished=tally.finished,
            nodes=tally.nodes,
            retriggered=tally.retriggered,
            cancelled=tally.cancelled,
            paused=tally.paused,
            overruled=tally.overruled,
            rerun=tally.rerun,
            forked=tally.forked,
            followed=chains.followed,
            limited=turns.counted,
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


def _repeated(service: HttpServer, tally: Tally) -> Iterator[str]:
    """Calls of a later run by a node that had completed in the first: it must not run again.

    An execution that has called in no first run is a new one of an older's run: nobody may know its id.
    """
    calls = [call.headers["idempotency-key"].split("-", 2) for call in service.called(PATH)]
    begun = {execution for execution, run, _ in calls if run == "1"}
    for execution, run, node in calls:
        if run != "1" and execution in begun and (execution, node) not in tally.left:
            yield f"{execution}: {node} had completed in run 1 and was called in run {run}"


def _judge(stack: SoakStack) -> Iterator[str]:
    """What is left behind, and what contradicts itself."""
    with stack.valkey.connect(socket_timeout=30) as client:
        try:
            wait_until(
                lambda: is_quiet(client),
                within_s=QUIET_WITHIN_S,
                what="an end of everything",
                every_s=0.2,
            )
        except AssertionError as error:
            yield str(error)
        for check in (check_drained, check_everything):
            try:
                check(client)
            except AssertionError as error:
                yield str(error)
    try:
        wait_until(
            lambda: not stack.orphans_left(), within_s=ORPHANS_END_WITHIN_S, what="the end of all orphans"
        )
    except AssertionError as error:
        yield f"{error}: {stack.orphans_left()}"
    for record in _records(stack):
        if record.get("level") in ("error", "critical") and record.get("event") not in ERRORS_ALLOWED:
            yield f"logged as an error: {str(dict(record))[:1000]}"


def _freed(server: redis.Redis) -> frozenset[str]:
    """The executions in which places were free before handlers had returned."""
    found: list[bytes] = server.execute_command("KEYS", "fe:x:*:events")
    streams = {key.decode().split(":")[2]: server.execute_command("XRANGE", key, "-", "+") for key in found}
    return frozenset(
        execution
        for execution, entries in streams.items()
        if any(
            event.kind in FREED
            for _, fields in entries
            for encoded in fields.values()
            for event in decode_events(encoded)
        )
    )


def _records(stack: SoakStack) -> Iterator[Mapping[str, object]]:
    """What all processes have logged; a line that is no record is one without an event."""
    for process in [*stack.ended, *stack.processes()]:
        yield from process.records()


def _events(stack: SoakStack) -> dict[str, int]:
    """How often each warning and error was logged, by all processes."""
    return dict(Counter(str(record.get("event"))[:80] for record in _records(stack)))


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
