"""Keeps processes running: starts them, starts again those that die, ends them all.

Refuses to know what they do. SIGTERM asks a child to end, SIGKILL makes it end; both go to its own
pid. Its standard input is a socket that this process holds open and never writes to. End of file there
means that this process is gone, for whatever reason (see `supervision.child_shutdown`). A child that says
there that it drains is succeeded by another at once, and has the time to end that it asked for.

Imports the standard library only, and little of it: a supervisor lives as long as its service, and so does
the memory that its imports take. What only types need is not imported, nor is `typing`.
"""

from __future__ import annotations

import os
import re
import select
import socket
import subprocess
import time

from flowengine.supervision.child_shutdown import DRAINING, FATAL_EXIT

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from typing import Protocol

    from flowengine.supervision.interrupts import Interrupts
    from flowengine.supervision.parked_process import ParkedProcess

    class Report(Protocol):
        """Takes what happened: a dotted event in the past tense, and its values."""

        def __call__(self, event: str, **fields: object) -> None: ...


FIRST_DELAY_S = 0.1
LONGEST_DELAY_S = 5.0
QUICK_DEATH_S = 5.0
KILL_MARGIN_S = 3.0
LEAST_DRAINING = 3
"""As many processes of a service may drain at once as serve, but at least so many."""
CHUNK = 65536
_DRAINS = re.compile(DRAINING + rb"[0-9]{1,6}\.[0-9]")


class Service:
    """A process to keep running. `environment`: the whole of it; None inherits this process's.

    `parked`: what runs first, in place of `argv`. For a supervisor that captures what its children print.
    """

    def __init__(
        self,
        name: str,
        argv: Sequence[str],
        environment: Mapping[str, str] | None = None,
        parked: ParkedProcess | None = None,
    ) -> None:
        self.name = name
        self.argv = argv
        self.environment = environment
        self.parked = parked


class Supervisor:
    """Runs one child for each service given.

    `on_line(service name, line)` gets what the children print, line by line. Without it they print
    where this process does. Single-threaded: nothing happens outside of its methods.
    """

    def __init__(
        self,
        services: Sequence[Service],
        *,
        interrupts: Interrupts,
        grace_s: float,
        report: Report,
        on_line: Callable[[str, str], None] | None = None,
    ) -> None:
        self._children = [_Child(service, capture=on_line is not None) for service in services]
        self._draining: list[_Child] = []
        self._interrupts = interrupts
        self._grace_s = grace_s
        self._report = report
        self._on_line = on_line

    def start(self) -> None:
        """Start every child. If the system cannot start one now, it is tried again later."""
        for child in self._children:
            self._launch(child)

    def step(self, timeout_s: float | None) -> None:
        """Wait until something happens, at most `timeout_s` (None: without limit), and react to it."""
        self._wait(self._until_next_turn(timeout_s))
        for child in list(self._draining):
            self._look_after_draining(child)
        for child in list(self._children):
            if (within_s := child.drains_within()) is not None:
                self._succeed(child, within_s)
        for child in self._children:
            if child.is_overdue():
                child.kill()
            self._notice_death(child)
            if child.is_due_to_restart():
                self._launch(child)

    def restart(self, service: str) -> None:
        """Tell the children of a service to end as at a stop, and start each again once it has ended.

        One that does not end within the grace and a margin is killed.
        """
        for child in self._children:
            if child.service.name == service and child.is_alive():
                child.begin_anew(self._grace_s + KILL_MARGIN_S)

    def fatal(self) -> str | None:
        """The name of a child that ended with FATAL_EXIT (a wrong setting, for example), or None."""
        return next((child.service.name for child in self._children if child.ended_for_good), None)

    def run(self) -> bool:
        """Keep the children running until a signal asks to end or one ends for good; then end all.

        Returns whether it was a signal.
        """
        try:
            self.start()
            while self._interrupts.first is None and self.fatal() is None:
                self.step(None)
        finally:
            self.stop()
        return self.fatal() is None

    def stop(self) -> None:
        """End every child: SIGTERM, then SIGKILL to those left after the grace and a margin.

        A second signal that asks this process to end sends SIGKILL at once.
        """
        asked = min(1, self._interrupts.count)
        deadline = time.monotonic() + self._grace_s + KILL_MARGIN_S
        for child in self._all():
            child.restart_at = None
            child.terminate()
        while self._alive() and time.monotonic() < deadline and self._interrupts.count == asked:
            self._wait(deadline - time.monotonic())
        for child in self._all():
            if child.is_alive():
                self._report("process.killed", process=child.service.name, pid=child.pid)
        self.kill()

    def kill(self) -> None:
        """End every child at once, by SIGKILL."""
        for child in self._all():
            child.restart_at = None
            child.kill()
            self._pass_on(child, child.drain())
            child.close()

    def _launch(self, child: _Child) -> None:
        try:
            child.launch()
        except OSError as error:
            delay = child.plan_restart(1)
            self._report(
                "process.start_failed", process=child.service.name, error=str(error), restart_in_s=delay
            )
        else:
            self._report("process.started", process=child.service.name, pid=child.pid)

    def _notice_death(self, child: _Child) -> None:
        code = child.reap()
        if code is None:
            return
        self._pass_on(child, child.drain())
        if child.begins_anew:
            child.restart_at = time.monotonic()
            return
        delay = child.plan_restart(code)
        fields = {} if delay is None else {"restart_in_s": delay}
        self._report("process.exited", process=child.service.name, pid=child.pid, exit_code=code, **fields)

    def _succeed(self, child: _Child, within_s: float) -> None:
        """Start another in the place of one that drains. That one ends by itself."""
        child.leaves_by = time.monotonic() + within_s + KILL_MARGIN_S
        self._report("process.draining", process=child.service.name, pid=child.pid, within_s=within_s)
        self._draining.append(child)
        self._children[self._children.index(child)] = child.successor()
        self._end_the_oldest(child.service.name)

    def _end_the_oldest(self, service: str) -> None:
        """Tell those to end that drain beyond the limit: each takes as much memory as one that serves."""
        serving = sum(child.service.name == service for child in self._children)
        draining = [child for child in self._draining if child.service.name == service]
        for child in draining[: -max(serving, LEAST_DRAINING)]:
            child.end_within(self._grace_s + KILL_MARGIN_S)

    def _look_after_draining(self, child: _Child) -> None:
        code = child.reap()
        if code is not None:
            self._pass_on(child, child.drain())
            child.close()
            self._draining.remove(child)
            self._report("process.drained", process=child.service.name, pid=child.pid, exit_code=code)
        elif child.leaves_by is not None and time.monotonic() > child.leaves_by:
            child.leaves_by = None
            self._report("process.killed", process=child.service.name, pid=child.pid)
            child.kill()

    def _all(self) -> list[_Child]:
        return [*self._children, *self._draining]

    def _alive(self) -> bool:
        return any(child.is_alive() for child in self._all())

    def _until_next_turn(self, timeout_s: float | None) -> float | None:
        times = [at for child in self._all() for at in (child.restart_at, child.leaves_by) if at is not None]
        if not times:
            return timeout_s
        wait_s = max(0.0, min(times) - time.monotonic())
        return wait_s if timeout_s is None else min(wait_s, timeout_s)

    def _wait(self, timeout_s: float | None) -> None:
        outputs = {child.output: child for child in self._all() if child.output is not None}
        lifelines = [child.lifeline.fileno() for child in self._children if child.lifeline is not None]
        ready, _, _ = select.select([self._interrupts.wakeup, *outputs, *lifelines], [], [], timeout_s)
        self._interrupts.drain()
        for descriptor in ready:
            if descriptor in outputs:
                self._pass_on(outputs[descriptor], outputs[descriptor].read())

    def _pass_on(self, child: _Child, lines: list[str]) -> None:
        for line in lines:
            if self._on_line is not None:
                self._on_line(child.service.name, line)


class _Child:
    """One process and its history."""

    def __init__(self, service: Service, *, capture: bool) -> None:
        self.service = service
        self.ended_for_good = False
        self.restart_at: float | None = None
        self.leaves_by: float | None = None
        self.begins_anew = False
        self._told_to_end = False
        self.output: int | None = None
        self.lifeline: socket.socket | None = None
        self._said = b""
        self._capture = capture
        self._process: subprocess.Popen[bytes] | ParkedProcess | None = None
        self._running = False
        self._started_at = 0.0
        self._quick_deaths = 0
        self._partial = b""

    @property
    def pid(self) -> int | None:
        return None if self._process is None else self._process.pid

    def launch(self) -> None:
        self.close()
        self.restart_at = self.leaves_by = None
        self.begins_anew = False
        self._started_at = time.monotonic()
        parked = self.service.parked
        if parked is not None and parked.is_waiting:
            self._process, self.lifeline = parked, parked.lifeline
            parked.start(self._environment())
        else:
            self.lifeline, theirs = socket.socketpair()
            with theirs:
                self._process = self._spawn(theirs.fileno())
        self.lifeline.setblocking(False)
        self._running = True
        if self._process.stdout is not None:
            self.output = self._process.stdout.fileno()
            os.set_blocking(self.output, False)

    def _spawn(self, standard_input: int) -> subprocess.Popen[bytes]:
        return subprocess.Popen(
            self.service.argv,
            env=self._environment(),
            stdin=standard_input,
            stdout=subprocess.PIPE if self._capture else None,
            stderr=subprocess.STDOUT if self._capture else None,
            process_group=0,  # the terminal's Ctrl-C reaches the supervisor alone, which decides
        )

    def _environment(self) -> Mapping[str, str] | None:
        """What is captured is read as UTF-8, line by line, whatever the terminal's encoding is."""
        if not self._capture:
            return self.service.environment
        given = os.environ if self.service.environment is None else self.service.environment
        return {**given, "PYTHONIOENCODING": "utf-8", "PYTHONUNBUFFERED": "1"}

    def successor(self) -> _Child:
        """One that is started in its place: at once, unless it has lived for too short a time."""
        child = _Child(self.service, capture=self._capture)
        delay = self._delay()
        child._quick_deaths = self._quick_deaths
        child.restart_at = time.monotonic() + (delay if self._quick_deaths > 1 else 0.0)
        return child

    def drains_within(self) -> float | None:
        """In how many seconds it will have ended, once, when it has said that it drains."""
        if self.lifeline is None:
            return None
        try:
            said = self.lifeline.recv(CHUNK)
        except BlockingIOError:
            return None
        except ConnectionResetError:
            said = b""
        if not said:  # it has closed its end; it is about to be reaped
            self._close_lifeline()
        *lines, self._said = (self._said + said)[-CHUNK:].split(b"\n")
        told = [line.removeprefix(DRAINING) for line in lines if _DRAINS.fullmatch(line)]
        return float(told[0]) if told else None

    def is_alive(self) -> bool:
        return self._running and self._process is not None and self._process.poll() is None

    def is_due_to_restart(self) -> bool:
        return self.restart_at is not None and time.monotonic() >= self.restart_at

    def reap(self) -> int | None:
        """The exit code, once, when the process has ended since the last call."""
        if not self._running or self._process is None or self._process.poll() is None:
            return None
        self._running = False
        return self._process.returncode

    def plan_restart(self, code: int) -> float | None:
        """Seconds until it is started again, more after each quick death. None: never again."""
        if code == FATAL_EXIT:
            self.ended_for_good = True
            return None
        delay = self._delay()
        self.restart_at = time.monotonic() + delay
        return delay

    def _delay(self) -> float:
        lived = time.monotonic() - self._started_at
        self._quick_deaths = self._quick_deaths + 1 if lived < QUICK_DEATH_S else 0
        delay: float = min(FIRST_DELAY_S * 2 ** max(0, self._quick_deaths - 1), LONGEST_DELAY_S)
        return delay

    def terminate(self) -> None:
        if self._process is not None and self.is_alive():
            self._process.terminate()

    def begin_anew(self, within_s: float) -> None:
        """Ask it to end, at the latest in so many seconds, to be started again."""
        if not self.begins_anew:
            self.begins_anew = True
            self.leaves_by = time.monotonic() + within_s
            self.terminate()

    def is_overdue(self) -> bool:
        """Whether it was to be started again, and has had its time to end."""
        late = self.leaves_by is not None and time.monotonic() > self.leaves_by
        return late and self.begins_anew and self._running

    def end_within(self, within_s: float) -> None:
        """Ask one that drains to end sooner than it would. Asks once."""
        if self.leaves_by is not None and not self._told_to_end:
            self._told_to_end = True
            self.leaves_by = min(self.leaves_by, time.monotonic() + within_s)
            self.terminate()

    def kill(self) -> None:
        if self._process is not None:
            self._process.kill()
            self._process.wait()

    def read(self) -> list[str]:
        """The whole lines that it has printed since the last call."""
        lines: list[str] = []
        self._read_into(lines)
        return lines

    def drain(self) -> list[str]:
        """The rest of what an ended process has printed. Does not wait for children of its own."""
        lines: list[str] = []
        while self._read_into(lines):
            pass
        if self._partial:
            lines.append(_text(self._partial))
            self._partial = b""
        return lines

    def _read_into(self, lines: list[str]) -> bool:
        if self.output is None:
            return False
        try:
            data = os.read(self.output, CHUNK)
        except BlockingIOError:
            return False
        if not data:
            self._close_output()
        *whole, self._partial = (self._partial + data).split(b"\n")
        if len(self._partial) > CHUNK:
            whole, self._partial = [*whole, self._partial], b""
        lines += map(_text, whole)
        return bool(data)

    def close(self) -> None:
        """Close pipe and lifeline. A process that still runs takes that as the sign to end."""
        self._close_output()
        self._close_lifeline()

    def _close_lifeline(self) -> None:
        if self.lifeline is not None:
            self.lifeline.close()
            self.lifeline = None

    def _close_output(self) -> None:
        self.output = None
        if self._process is not None and self._process.stdout is not None:
            self._process.stdout.close()


def _text(line: bytes) -> str:
    return line.rstrip(b"\r").decode("utf-8", "replace")
