"""The processes that `flowengine run` starts: an orchestrator, a worker, and a server unless there is one."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Self

from flowengine.cli.processes.command_lines import service_program
from flowengine.cli.processes.parked_services import ParkedServices
from flowengine.cli.processes.service_environment import service_environment
from flowengine.cli.tool_settings import defaults_for_development, read_settings
from flowengine.errors import CannotRunError
from flowengine.plaintext import plain_text
from flowengine.supervision.embedded_server import EmbeddedServer
from flowengine.supervision.interrupts import Interrupts
from flowengine.supervision.supervisor import Service, Supervisor

if TYPE_CHECKING:
    from flowengine.settings import Settings

GRACE_S = 2.0
SERVICES = ("orchestrator", "worker")


class InterruptedRunError(Exception):
    """The user asked to end."""


class OutOfTimeError(Exception):
    """The time that the user gave is over."""


class WorkflowRunServices:
    """A context manager: the processes run while it is entered, and none outlives it.

    `settings` are those of the processes. Without an `owner` they have an embedded server, and nodes may call
    any address, this machine's included: a user at a terminal could call it as well. With one they are on the
    server that REDIS_URL names and work for this execution alone, by queues of its own. What is left of it
    others may have to finish, so the settings say what its nodes may call.

    `parked`: processes that wait to become these services. `say` takes lines for the user.
    """

    settings: Settings
    _supervisor: Supervisor

    def __init__(
        self,
        interrupts: Interrupts,
        parked: ParkedServices,
        say: Callable[[str], None],
        *,
        owner: str = "",
    ) -> None:
        self._interrupts = interrupts
        self._parked = parked
        self._deadline: float | None = None
        self._say = say
        self._stack = contextlib.ExitStack()
        self._owner = owner
        self._is_private = not owner
        self._ends_in_order = not self._is_private

    def __enter__(self) -> Self:
        with self._stack:
            environment = self._environment()
            self.settings = read_settings(environment)
            self._supervisor = Supervisor(
                [self._service(name, environment) for name in SERVICES],
                interrupts=self._interrupts,
                grace_s=GRACE_S,
                report=self._report,
                on_line=lambda _, line: self._say(plain_text(line)),
            )
            self.check()
            self._stack.callback(self._stop)
            self._supervisor.start()
            self._stack = self._stack.pop_all()
        return self

    def __exit__(self, *exc_info: object) -> None:
        self._stack.close()

    def check(self) -> None:
        """Return if the run may go on. Raises InterruptedRunError, OutOfTimeError."""
        if self._interrupts.first is not None:
            raise InterruptedRunError
        if self._deadline is not None and time.monotonic() >= self._deadline:
            self._ends_in_order = not self._is_private
            raise OutOfTimeError

    def step(self, timeout_s: float) -> None:
        """Wait, at most `timeout_s`, and start again the processes that have died.

        Raises as `check` does, and CannotRunError when a process cannot run.
        """
        if self._deadline is not None:
            timeout_s = min(timeout_s, max(0.0, self._deadline - time.monotonic()))
        self._supervisor.step(timeout_s)
        if fatal := self._supervisor.fatal():
            raise CannotRunError(f"the {fatal} cannot run: see above")
        self.check()

    def execution_starts(self, timeout_s: float | None) -> None:
        """From now on, handlers that run get a moment to finish when the user interrupts the run.

        And from now on the time counts that the user gave: not the start of the processes.
        """
        self._ends_in_order = True
        self._deadline = None if timeout_s is None else time.monotonic() + timeout_s

    def run_is_over(self) -> None:
        """From now on, processes on a private server need not end in order."""
        self._ends_in_order = not self._is_private

    def _environment(self) -> dict[str, str]:
        # There is no other worker that could know a handler which this one does not.
        defaults = {
            "FLOWENGINE_LOG_LEVEL": "error",
            "FLOWENGINE_LOG_FORMAT": "console",
            "FLOWENGINE_UNKNOWN_HANDLER_SECONDS": "0",
        }
        if not self._is_private:
            return defaults_for_development(**defaults)
        environment = defaults_for_development(FLOWENGINE_EGRESS="any", **defaults)
        environment["REDIS_URL"] = self._stack.enter_context(EmbeddedServer()).url
        return environment

    def _stop(self) -> None:
        self._interrupts.insist = False
        self._supervisor.stop() if self._ends_in_order else self._supervisor.kill()

    def _service(self, name: str, environment: Mapping[str, str]) -> Service:
        program = service_program(name, grace_s=GRACE_S, owner=self._owner)
        return Service(name, program, service_environment(name, environment), self._parked.get(name))

    def _report(self, event: str, **fields: object) -> None:
        """Say that a process has died: nothing else shows that a handler kills its worker each time."""
        if event == "process.exited":
            code = fields["exit_code"]
            self._say(f"the {fields['process']} process ended with code {code}; starting it again")
