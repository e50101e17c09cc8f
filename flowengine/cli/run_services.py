"""What `flowengine run` starts around itself: a server unless there is one, an orchestrator, a worker."""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING, Self

import click

from flowengine.cli.configuration import chosen_server, defaults_for_development, read_settings
from flowengine.cli.programs import service_program
from flowengine.devstack.embedded import EmbeddedServer
from flowengine.devstack.interrupts import Interrupts
from flowengine.devstack.supervision import Service, Supervisor
from flowengine.errors import CannotRunError
from flowengine.plaintext import plain_text

if TYPE_CHECKING:
    from flowengine.settings import Settings

GRACE_S = 2.0


class InterruptedRunError(Exception):
    """The user asked to end; everything is about to."""


class RunServices:
    """A context manager: processes run while it is entered, and none outlives it.

    `settings` are those of the processes. Nodes may call any address, this machine's included: whoever
    runs a file from a terminal could call it as well.
    """

    settings: Settings

    def __init__(self, interrupts: Interrupts) -> None:
        self._interrupts = interrupts
        self._stack = contextlib.ExitStack()
        self._supervisor: Supervisor | None = None
        self._nothing_to_keep = False
        self._private = chosen_server() is None

    def __enter__(self) -> Self:
        with self._stack:
            environment = defaults_for_development(
                FLOWENGINE_EGRESS="any", FLOWENGINE_LOG_LEVEL="error", FLOWENGINE_LOG_FORMAT="console"
            )
            if self._private:
                environment["REDIS_URL"] = self._stack.enter_context(EmbeddedServer()).url
            self.settings = read_settings(environment)
            self._supervisor = Supervisor(
                [
                    Service(name, service_program(name, grace_s=GRACE_S), environment)
                    for name in ("orchestrator", "worker")
                ],
                interrupts=self._interrupts,
                grace_s=GRACE_S,
                report=_report,
                on_line=_print_line,
            )
            self._stack.callback(self._stop)
            self._supervisor.start()
            self._stack = self._stack.pop_all()
        return self

    def __exit__(self, *exc_info: object) -> None:
        self._stack.close()

    def step(self, timeout_s: float) -> None:
        """Wait, at most `timeout_s`, minding the processes.

        Raises InterruptedRunError, and CannotRunError when a process will not run.
        """
        if self._supervisor is not None:
            self._supervisor.step(timeout_s)
            if self._supervisor.fatal() is not None:
                raise CannotRunError(f"the {self._supervisor.fatal()} cannot run: see above")
        if self._interrupts.first is not None:
            raise InterruptedRunError

    def done(self) -> None:
        """The execution has ended: what runs on a server of our own need not end in order."""
        self._nothing_to_keep = self._private

    def _stop(self) -> None:
        self._interrupts.insist = False
        if self._supervisor is not None:
            self._supervisor.kill() if self._nothing_to_keep else self._supervisor.stop()


def _print_line(service: str, line: str) -> None:
    click.echo(plain_text(line), err=True)


def _report(event: str, **fields: object) -> None:
    """Deaths matter here: a handler that kills its worker shows as nothing else until it has failed."""
    if event == "process.exited":
        click.echo(
            f"the {fields['process']} process ended with code {fields['exit_code']}; starting it again",
            err=True,
        )
