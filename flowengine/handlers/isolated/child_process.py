"""One child process of a worker, as the worker sees it: started, given jobs, killed.

It runs one job at a time. Whatever becomes of it, the worker's thread comes back: with what the handler gave,
or with an error that says how the process ended. It leads a process group of its own, so that what its
handler has started is killed with it.
"""

from __future__ import annotations

import contextlib
import os
import signal
import socket
import subprocess
import threading
from collections.abc import Callable, Sequence
from typing import Final, assert_never

import msgspec

from flowengine.engine.ports import EncodedOutput
from flowengine.execution.error_codes import HANDLER_CANCELLED, HANDLER_CRASHED
from flowengine.execution.history.spoken import Line
from flowengine.handlers.isolated.frames import (
    FRAME_MARGIN,
    Asked,
    Began,
    BrokenFrameError,
    Cancel,
    Delayed,
    FromChild,
    Job,
    Raised,
    Ready,
    Returned,
    Spoke,
    Wire,
)
from flowengine.observability.node_output import LINE_BYTES, NodeOutput, Step, Taken
from flowengine.plugin.context import Cancellation
from flowengine.plugin.errors import HandlerError, HandlerTimeoutError, Later
from flowengine.plugin.waiting import Wait

LATE_S: Final = 0.15
"""A handler that heeds its deadline says more of it than its death would: so long it is waited for."""

CANCELLED_WITHIN_S: Final = 2.0
"""How long a handler that is told to stop may take to do so. Then its process is killed."""

REAPED_WITHIN_S: Final = 2.0

_lines = msgspec.json.Decoder(Line)
_json = msgspec.json.Decoder(msgspec.Raw)


class GoneError(Exception):
    """The process has ended before the handler began: that is not the handler's doing."""


class ChildProcess:
    """`argv` is the program. It has the worker's environment, and its standard output and error."""

    def __init__(self, argv: Sequence[str], *, max_result_bytes: int) -> None:
        """Raises OSError if the system starts no process now."""
        ours, theirs = socket.socketpair()
        with theirs:
            self._process = subprocess.Popen(argv, stdin=theirs.fileno(), process_group=0)
        self._wire: Wire[FromChild] = Wire(ours, FromChild, at_most=max_result_bytes + FRAME_MARGIN)
        self._guard = threading.RLock()
        self._ready = False
        self._killed = False
        self._number = 0
        self._running = False
        self._told_to_stop = False

    @property
    def pid(self) -> int:
        """Its process's."""
        return self._process.pid

    def run(
        self,
        handler: str,
        job: Callable[[int], Job],
        deadline: float,
        cancellation: Cancellation,
        output: NodeOutput | None,
    ) -> EncodedOutput | Wait:
        """What the handler gives. `job` makes the job, once the process takes one, of its number.

        Raises HandlerError, HandlerTimeoutError, and GoneError if the handler has not begun.
        If it raises, ask `is_fit` whether the process can go on.
        """
        killed_at = deadline + LATE_S
        self._await_ready(killed_at, handler)
        given = self._give(job)
        cancellation.on_request(lambda: self._cancel(given.number))
        try:
            return self._outcome(given, killed_at, output)
        except BaseException:
            if self._running:  # it has not answered, so nobody knows what it is at
                self.kill()
            raise

    @property
    def is_fit(self) -> bool:
        """Whether it takes another job, as far as is known."""
        return self._ready and not self._running and not self._killed

    def kill(self) -> None:
        """End it, and what it has started. Any thread may call this."""
        with self._guard:
            if self._process.returncode is not None:
                return
            self._killed = True
            # It is not reaped yet, so nobody else can have its number, nor that of its group.
            with contextlib.suppress(ProcessLookupError, PermissionError):
                os.killpg(self._process.pid, signal.SIGKILL)
            with contextlib.suppress(ProcessLookupError):
                self._process.kill()

    def reap(self, within_s: float = REAPED_WITHIN_S) -> int | None:
        """Its exit code once it has ended, for which it is waited; what it has started ends with it."""
        self.kill()
        with contextlib.suppress(subprocess.TimeoutExpired):
            self._process.wait(within_s)
        self._wire.close()
        return self._process.returncode

    def _await_ready(self, until: float, handler: str) -> None:
        while not self._ready:
            try:
                frame = self._wire.receive(until)
            except TimeoutError as error:
                raise HandlerTimeoutError(
                    f"the process for handler '{handler}' did not start within the node's timeout_seconds"
                ) from error
            except BrokenFrameError as error:
                raise GoneError(f"it has sent what nobody can read: {error}") from error
            if frame is None:
                raise GoneError(_how_it_ended(self.reap()))
            self._ready = isinstance(frame, Ready)

    def _give(self, job: Callable[[int], Job]) -> Job:
        with self._guard:
            self._number += 1
            self._running, self._told_to_stop = True, False
        given = job(self._number)
        try:
            self._wire.send(given)
        except OSError as error:
            self.kill()
            raise GoneError("it took no job") from error
        return given

    def _outcome(self, job: Job, until: float, output: NodeOutput | None) -> EncodedOutput | Wait:
        began = False
        while True:
            try:
                frame = self._wire.receive(until)
            except TimeoutError as error:
                raise HandlerTimeoutError(
                    f"handler '{job.handler}' did not end within the node's timeout_seconds, and its "
                    "process was killed"
                ) from error
            except BrokenFrameError as error:
                raise self._crashed(job, f"it has sent what nobody can read: {error}") from error
            if frame is None:
                how = _how_it_ended(self.reap())
                raise self._crashed(job, how) if began else GoneError(how)
            if isinstance(frame, Ready) or frame.number != job.number:
                continue  # an earlier job has said something late
            match frame:
                case Began():
                    began = True
                case Spoke():
                    self._hear(job, frame, output)
                case Returned(output=data):
                    self._end()
                    return EncodedOutput(self._checked(job, data))
                case Raised():
                    self._end()
                    raise _error(frame)
                case Delayed(seconds=seconds):
                    self._end()
                    raise self._later(job, seconds)
                case Asked():
                    self._end()
                    return self._wait(job, frame)
                case _ as never:
                    assert_never(never)

    def _end(self) -> None:
        with self._guard:
            self._running = False

    def _crashed(self, job: Job, how: str) -> HandlerError:
        if self._told_to_stop:
            return HandlerError(HANDLER_CANCELLED.code, f"handler '{job.handler}' was cancelled, and {how}")
        return HandlerError(HANDLER_CRASHED.code, f"the process of handler '{job.handler}' has ended: {how}")

    def _checked(self, job: Job, data: bytes) -> bytes:
        try:
            _json.decode(data)
        except msgspec.DecodeError as error:
            self.kill()
            raise self._crashed(job, f"what it returned is no JSON: {error}") from error
        return data

    def _later(self, job: Job, seconds: float) -> Later | HandlerError:
        try:
            return Later(seconds)
        except ValueError as error:
            self.kill()
            return self._crashed(job, f"it has asked for what is no time: {error}")

    def _wait(self, job: Job, asked: Asked) -> Wait:
        try:
            return Wait(asked.signal, asked.prompt, asked.timeout_seconds, asked.on_timeout)
        except ValueError as error:
            self.kill()
            raise self._crashed(job, f"it has asked for what is no wait: {error}") from error

    def _hear(self, job: Job, spoke: Spoke, output: NodeOutput | None) -> None:
        if output is None:
            return
        try:
            for line in spoke.lines:
                _lines.decode(line[: LINE_BYTES + 1])
        except msgspec.DecodeError as error:
            raise self._crashed(job, f"it has sent a line that nobody can read: {error}") from error
        step = None if spoke.step is None else Step(*spoke.step)
        output.repeat(Taken(spoke.lines, spoke.dropped, step, spoke.text, spoke.text_at, spoke.text_dropped))

    def _cancel(self, number: int) -> None:
        """Tell the handler to stop; kill its process if it does not."""
        with self._guard:
            if not self._running or self._number != number:
                return
            self._told_to_stop = True
            with contextlib.suppress(OSError):
                self._wire.send(Cancel(number))
        timer = threading.Timer(CANCELLED_WITHIN_S, self._kill_if_at, (number,))
        timer.daemon = True
        timer.start()

    def _kill_if_at(self, number: int) -> None:
        with self._guard:  # held until it is killed, so that it has not begun another job
            if self._running and self._number == number:
                self.kill()


def _error(raised: Raised) -> HandlerError:
    if raised.timed_out:
        return HandlerTimeoutError(raised.message, errors=raised.errors, calls=raised.calls)
    return HandlerError(
        raised.code,
        raised.message,
        errors=raised.errors,
        calls=raised.calls,
        status_code=raised.status_code,
        permanent=raised.permanent,
        retry_after_s=raised.retry_after_s,
    )


def _how_it_ended(code: int | None) -> str:
    if code is None:
        return "it cannot be ended"
    if code >= 0:
        return f"it has exited with code {code}"
    try:
        name = signal.Signals(-code).name
    except ValueError:
        name = f"signal {-code}"
    hint = ", as the system does where memory is short" if name == "SIGKILL" else ""
    return f"it was ended by {name}{hint}"
