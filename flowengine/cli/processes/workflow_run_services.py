"""What `flowengine run` starts around itself: a server unless there is one, an orchestrator, a worker."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable
from typing import TYPE_CHECKING, Self

from flowengine.cli.processes.command_lines import service_program
from flowengine.cli.tool_settings import chosen_server, defaults_for_development, read_settings
from flowengine.errors import CannotRunError
from flowengine.plaintext import plain_text
from flowengine.supervision.embedded_server import EmbeddedServer
from flowengine.supervision.interrupts import Interrupts
from flowengine.supervision.supervisor import Service, Supervisor

if TYPE_CHECKING:
    from flowengine.settings import Settings

GRACE_S = 2.0


class InterruptedRunError(Exception):
    """The user asked to end; everything is about to."""


class OutOfTimeError(Exception):
    """The time that the user gave is over."""


class WorkflowRunServices:
    """A context manager: processes run while it is entered, and none outlives it.

    `settings` are those of the processes. On a private server nodes may call any address, this
    machine's included: whoever runs a file from a terminal could call it as well. On the server that
    REDIS_URL names, the worker takes part in everybody's work, and its egress is what the settings say.

    `deadline` is on the clock of `time.monotonic`. `say` takes lines for the user.
    """

    settings: Settings

    def __init__(self, interrupts: Interrupts, deadline: float | None, say: Callable[[str], None]) -> None:
        self._interrupts = interrupts
        self._deadline = deadline
        self._say = say
        self._held_back: list[str] | None = []
        self._stack = contextlib.ExitStack()
        self._supervisor: Supervisor | None = None
        self.is_private = chosen_server() is None
        self._ends_in_order = not self.is_private

    def __enter__(self) -> Self:
        with self._stack:
            environment = self._environment()
            self.settings = read_settings(environment)
            self._supervisor = Supervisor(
                [
                    Service(name, service_program(name, grace_s=GRACE_S), environment)
                    for name in ("orchestrator", "worker")
                ],
                interrupts=self._interrupts,
                grace_s=GRACE_S,
                report=self._report,
                on_line=lambda _, line: self._tell(plain_text(line)),
            )
            self.check()
            self._stack.callback(self._stop)
            self._supervisor.start()
            self._stack = self._stack.pop_all()
        return self

    def __exit__(self, *exc_info: object) -> None:
        self._stack.close()

    def check(self) -> None:
        """Raises InterruptedRunError and OutOfTimeError; otherwise the run may go on."""
        if self._interrupts.first is not None:
            raise InterruptedRunError
        if self._deadline is not None and time.monotonic() >= self._deadline:
            self._ends_in_order = not self.is_private
            raise OutOfTimeError

    def step(self, timeout_s: float) -> None:
        """Wait, at most `timeout_s`, minding the processes.

        Raises as `check`, and CannotRunError when a process will not run.
        """
        if self._deadline is not None:
            timeout_s = min(timeout_s, max(0.0, self._deadline - time.monotonic()))
        if self._supervisor is not None:
            self._supervisor.step(timeout_s)
            if self._supervisor.fatal() is not None:
                raise CannotRunError(f"the {self._supervisor.fatal()} cannot run: see above")
        self.check()

    def accepted(self) -> None:
        """The file is good: from now on the processes are heard.

        Until then they would only repeat what this process says itself, of a wrong setting for example.
        """
        held_back, self._held_back = self._held_back or [], None
        for line in held_back:
            self._say(line)

    def begins(self) -> None:
        """The execution is about to start: handlers that run get a moment to finish if the user gives up."""
        self._ends_in_order = True

    def done(self) -> None:
        """The execution has ended: what runs on a server of our own need not end in order."""
        self._ends_in_order = not self.is_private

    def _environment(self) -> dict[str, str]:
        defaults = {"FLOWENGINE_LOG_LEVEL": "error", "FLOWENGINE_LOG_FORMAT": "console"}
        if not self.is_private:
            return defaults_for_development(**defaults)
        environment = defaults_for_development(FLOWENGINE_EGRESS="any", **defaults)
        environment["REDIS_URL"] = self._stack.enter_context(EmbeddedServer()).url
        return environment

    def _stop(self) -> None:
        self._interrupts.insist = False
        if self._supervisor is not None:
            self._supervisor.stop() if self._ends_in_order else self._supervisor.kill()

    def _tell(self, line: str) -> None:
        if self._held_back is None:
            self._say(line)
        else:
            self._held_back.append(line)

    def _report(self, event: str, **fields: object) -> None:
        """Deaths matter here: a handler that kills its worker shows as nothing else until it has failed."""
        if event == "process.exited":
            code = fields["exit_code"]
            self._tell(f"the {fields['process']} process ended with code {code}; starting it again")
