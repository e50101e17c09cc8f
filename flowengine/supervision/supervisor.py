"""Keeps processes running: starts them, starts again those that die, ends them all.

Refuses to know what they do. SIGTERM asks a child to end, SIGKILL makes it end; both go to its own
pid. Its standard input is a pipe that this process holds open and never writes to. End of file there
means that this process is gone, for whatever reason (see `supervision.child_shutdown`).

Imports the standard library only: a supervisor lives as long as its service, and so does the memory
that its imports take.
"""

from __future__ import annotations

import os
import select
import subprocess
import time
from collections.abc import Callable, Mapping, Sequence
from typing import NamedTuple, Protocol

from flowengine.supervision.child_shutdown import FATAL_EXIT
from flowengine.supervision.interrupts import Interrupts
from flowengine.supervision.parked_process import ParkedProcess

FIRST_DELAY_S = 0.1
LONGEST_DELAY_S = 5.0
QUICK_DEATH_S = 5.0
KILL_MARGIN_S = 3.0
CHUNK = 65536


class Service(NamedTuple):
    """A process to keep running. `environment`: the whole of it; None inherits this process's.

    `parked`: what runs first, in place of `argv`. For a supervisor that captures what its children print.
    """

    name: str
    argv: Sequence[str]
    environment: Mapping[str, str] | None = None
    parked: ParkedProcess | None = None


class Report(Protocol):
    """Takes what happened: a dotted event in the past tense, and its values."""

    def __call__(self, event: str, **fields: object) -> None: ...


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
        self._wait(self._until_next_restart(timeout_s))
        for child in self._children:
            self._notice_death(child)
            if child.is_due_to_restart():
                self._launch(child)

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
        for child in self._children:
            child.restart_at = None
            child.terminate()
        while self._alive() and time.monotonic() < deadline and self._interrupts.count == asked:
            self._wait(deadline - time.monotonic())
        for child in self._children:
            if child.is_alive():
                self._report("process.killed", process=child.service.name, pid=child.pid)
        self.kill()

    def kill(self) -> None:
        """End every child at once, by SIGKILL."""
        for child in self._children:
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
        delay = child.plan_restart(code)
        fields = {} if delay is None else {"restart_in_s": delay}
        self._report("process.exited", process=child.service.name, pid=child.pid, exit_code=code, **fields)

    def _alive(self) -> bool:
        return any(child.is_alive() for child in self._children)

    def _until_next_restart(self, timeout_s: float | None) -> float | None:
        waits = [child.restart_at - time.monotonic() for child in self._children if child.restart_at]
        return max(0.0, min(waits)) if waits and (timeout_s is None or min(waits) < timeout_s) else timeout_s

    def _wait(self, timeout_s: float | None) -> None:
        outputs = {child.output: child for child in self._children if child.output is not None}
        ready, _, _ = select.select([self._interrupts.wakeup, *outputs], [], [], timeout_s)
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
        self.output: int | None = None
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
        self.restart_at = None
        self._started_at = time.monotonic()
        parked = self.service.parked
        if parked is not None and parked.is_waiting:
            self._process = parked
            parked.start(self._environment())
        else:
            self._process = self._spawn()
        self._running = True
        if self._process.stdout is not None:
            self.output = self._process.stdout.fileno()
            os.set_blocking(self.output, False)

    def _spawn(self) -> subprocess.Popen[bytes]:
        return subprocess.Popen(
            self.service.argv,
            env=self._environment(),
            stdin=subprocess.PIPE,
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
        lived = time.monotonic() - self._started_at
        self._quick_deaths = self._quick_deaths + 1 if lived < QUICK_DEATH_S else 0
        delay: float = min(FIRST_DELAY_S * 2 ** max(0, self._quick_deaths - 1), LONGEST_DELAY_S)
        self.restart_at = time.monotonic() + delay
        return delay

    def terminate(self) -> None:
        if self._process is not None and self.is_alive():
            self._process.terminate()

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
        """Close the pipes. A process that still runs takes that as the sign to end."""
        self._close_output()
        if self._process is not None and self._process.stdin is not None:
            self._process.stdin.close()

    def _close_output(self) -> None:
        self.output = None
        if self._process is not None and self._process.stdout is not None:
            self._process.stdout.close()


def _text(line: bytes) -> str:
    return line.rstrip(b"\r").decode("utf-8", "replace")
