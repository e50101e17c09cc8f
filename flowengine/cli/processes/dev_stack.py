"""The development stack: starts it, joins its logs in one stream, prints where it listens, ends it."""

from __future__ import annotations

import contextlib
import errno
import socket
import sys
from collections.abc import Mapping
from pathlib import Path

import click

from flowengine import __version__
from flowengine.cli.output.streams import styles_wanted
from flowengine.cli.processes.command_lines import api_program, service_program
from flowengine.cli.processes.service_environment import service_environment
from flowengine.cli.tool_settings import chosen_server, defaults_for_development, read_settings
from flowengine.errors import CannotRunError
from flowengine.plaintext import plain_text
from flowengine.supervision.embedded_server import EmbeddedServer
from flowengine.supervision.interrupts import Interrupts
from flowengine.supervision.supervisor import Service, Supervisor

HOST = "127.0.0.1"
GRACE_S = 3.0
USUAL_PORT = 8000
"""Where the tool looks for a stack if nothing says otherwise."""

COLOURS = {"api": "cyan", "orchestrator": "magenta", "worker": "green"}


def run_stack(*, port: int | None, data: Path | None) -> int:
    """Run the stack until a signal asks to end; returns the exit code.

    Raises CannotRunError, EmbeddedServerError, SettingsError.
    """
    given = chosen_server()
    # On a server that others use, the worker runs their nodes too: the settings say what it may call.
    egress = {"FLOWENGINE_EGRESS": "any"} if given is None else {}
    environment = defaults_for_development(FLOWENGINE_LOG_FORMAT="console", **egress)
    if given is not None and data is not None:
        raise CannotRunError(
            "--data is for the embedded server, but REDIS_URL names another: unset one of them"
        )
    port = _free_port(read_settings(environment).api_port if port is None else port)
    with Interrupts() as interrupts, contextlib.ExitStack() as stack:
        server = None
        if given is None:
            server = stack.enter_context(EmbeddedServer(data))
            environment["REDIS_URL"] = server.url
        supervisor = Supervisor(
            _services(port, environment, throwaway=server is not None and data is None),
            interrupts=interrupts,
            grace_s=GRACE_S,
            report=_report,
            on_line=_print_line,
        )
        stack.callback(supervisor.stop)
        supervisor.start()
        _watch(supervisor, interrupts, server, port, _welcome(port, data, embedded=server is not None))
    return 0


def _services(port: int, environment: Mapping[str, str], *, throwaway: bool) -> list[Service]:
    programs = {
        "api": api_program(host=HOST, port=port, supervised=True, throwaway=throwaway),
        "orchestrator": service_program("orchestrator", grace_s=GRACE_S, throwaway=throwaway),
        "worker": service_program("worker", grace_s=GRACE_S, throwaway=throwaway),
    }
    return [
        Service(name, program, service_environment(name, environment)) for name, program in programs.items()
    ]


def _watch(
    supervisor: Supervisor, interrupts: Interrupts, server: EmbeddedServer | None, port: int, welcome: str
) -> None:
    greeted = False
    while interrupts.first is None:
        supervisor.step(None if greeted else 0.1)
        if fatal := supervisor.fatal():
            raise CannotRunError(f"the {fatal} cannot run: see above")
        if server is not None and not server.is_alive():
            raise CannotRunError("the embedded server has died")
        if not greeted and _accepts(port):
            greeted = True
            click.echo(welcome)
    click.echo("stopping", err=True)


def _welcome(port: int, data: Path | None, *, embedded: bool) -> str:
    url = f"http://{HOST}:{port}"
    keeps = f"state kept in {data}" if data else "nothing is kept after the end (--data DIR keeps it)"
    server = f"embedded, {keeps}" if embedded else "the one that REDIS_URL names"
    rows = {
        "page": f"{url}/ui",
        "API": url,
        "docs": f"{url}/docs",
        "server": server,
        "try": "flowengine submit workflows/linear_dag.yaml --follow",
        "see": "flowengine list, then show ID, logs ID, cancel ID",
    }
    if port != USUAL_PORT:
        rows["first"] = f"export FLOWENGINE_URL={url}"
    lines = [f"  {name:<8}{text}" for name, text in rows.items()]
    return "\n".join([f"FlowEngine {__version__} is up. Ctrl-C stops everything.", *lines])


def _free_port(port: int) -> int:
    """The port, or a free one for 0. Raises CannotRunError if it is taken."""
    try:
        with socket.create_server((HOST, port)) as listener:
            return int(listener.getsockname()[1])
    except OSError as error:
        reason = "another program listens there" if error.errno == errno.EADDRINUSE else error.strerror
        raise CannotRunError(f"cannot listen on {HOST}:{port}: {reason}; choose another --port") from error


def _accepts(port: int) -> bool:
    with contextlib.suppress(OSError), socket.create_connection((HOST, port), timeout=1):
        return True
    return False


def _print_line(service: str, line: str) -> None:
    colour = COLOURS[service] if sys.stdout.isatty() and styles_wanted() else None
    label = f"{service:<12}"
    click.echo(f"{click.style(label, fg=colour) if colour else label} | {plain_text(line)}")


def _report(event: str, **fields: object) -> None:
    if event != "process.started":
        values = " ".join(f"{name}={value}" for name, value in fields.items() if name != "process")
        _print_line(str(fields["process"]), f"{event} {values}")
