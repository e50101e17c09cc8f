"""The development stack: starts it, joins its logs in one stream, prints where it listens, ends it."""

from __future__ import annotations

import contextlib
import errno
import shlex
import socket
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from secrets import token_hex

import click

from flowengine import __version__
from flowengine.cli.authoring.demo_service import DemoService, demo_environment
from flowengine.cli.authoring.handler_reload import HandlerReload
from flowengine.cli.authoring.watched_files import POLL_S
from flowengine.cli.output.streams import styles_wanted
from flowengine.cli.processes.command_lines import APPLYING, api_program, applying_program, service_program
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

WORKFLOWS = "workflows"
"""The folder that is applied if nothing else is said, and the name of what applies it in the output."""

COLOURS = {"api": "cyan", "orchestrator": "magenta", "worker": "green", WORKFLOWS: "yellow"}
_REQUEST = "http.request_finished"
_LOAD_HANDLERS = ("api", "worker", WORKFLOWS)


def run_stack(
    *, port: int | None, data: Path | None, apply: bool | None, paths: Sequence[Path], demo: bool = False
) -> int:
    """Run the stack until a signal asks to end; returns the exit code.

    `apply`: apply the workflows of `paths`, or of the usual folder, and again when they change; None: only on
    a server of our own. `demo`: with a service that examples call. Raises CannotRunError,
    EmbeddedServerError, SettingsError.
    """
    given = chosen_server()
    # On a server that others use, the worker runs their nodes too: the settings say what it may call.
    egress = {"FLOWENGINE_EGRESS": "any"} if given is None else {}
    environment = defaults_for_development(FLOWENGINE_LOG_FORMAT="console", **egress)
    if given is not None and data is not None:
        raise CannotRunError(
            "--data is for the embedded server, but REDIS_URL names another: unset one of them"
        )
    if given is not None and demo:
        raise CannotRunError(
            "--demo is for the embedded server, but REDIS_URL names another: unset one of them"
        )
    settings = read_settings(environment)
    port = _free_port(settings.api_port if port is None else port)
    applied = _applied(given is None if apply is None else apply, paths)
    with Interrupts() as interrupts, contextlib.ExitStack() as stack:
        click.echo(f"http://{HOST}:{port}/ui  will be the page: the stack is starting, it is not up yet")
        served = stack.enter_context(DemoService()) if demo else None
        if served is not None:
            environment |= demo_environment(served.url)
        server = None
        if given is None:
            server = stack.enter_context(EmbeddedServer(data))
            environment["REDIS_URL"] = server.url
        supervisor = Supervisor(
            _services(port, environment, applied, throwaway=server is not None and data is None),
            interrupts=interrupts,
            grace_s=GRACE_S,
            report=_report,
            on_line=_print_line,
        )
        stack.callback(supervisor.stop)
        handlers = HandlerReload(
            settings.handlers,
            environment,
            lambda: _restart(supervisor),
            lambda line: _print_line("worker", line),
        )
        stack.enter_context(handlers)
        supervisor.start()
        welcome = _welcome(
            port, data, applied, embedded=server is not None, demo=None if served is None else served.url
        )
        _watch(supervisor, interrupts, server, port, handlers, welcome)
    return 0


def _applied(apply: bool, paths: Sequence[Path]) -> Sequence[Path]:
    """What is applied. A folder that is named must be there; the usual one may be missing."""
    if not apply:
        return ()
    for path in paths:
        if not path.exists():
            raise CannotRunError(f"there is no {path} to apply workflows from")
    return paths or [path for path in (Path(WORKFLOWS),) if path.is_dir()]


def _services(
    port: int, environment: Mapping[str, str], applied: Sequence[Path], *, throwaway: bool
) -> list[Service]:
    programs = {
        "api": api_program(host=HOST, port=port, supervised=True, throwaway=throwaway),
        "orchestrator": service_program("orchestrator", grace_s=GRACE_S, throwaway=throwaway),
        "worker": service_program("worker", grace_s=GRACE_S, throwaway=throwaway),
    }
    environments = dict.fromkeys(programs, environment)
    if applied:
        programs[WORKFLOWS] = applying_program(applied)
        environments["api"], environments[WORKFLOWS] = _with_key(environment, f"http://{HOST}:{port}")
    return [
        Service(name, program, service_environment(name, environments[name]))
        for name, program in programs.items()
    ]


def _with_key(environment: Mapping[str, str], url: str) -> tuple[dict[str, str], dict[str, str]]:
    """What the API and what applies workflows start with. If the settings have keys, one more is made for
    it, which nobody else knows."""
    of_api, of_applying = dict(environment), {**environment, "FLOWENGINE_URL": url}
    entries = read_settings(environment).api_keys
    if entries:
        from flowengine.api.access.api_keys import new_key

        secret, entry = new_key(f"dev-{token_hex(8)}")
        of_api |= {"FLOWENGINE_API_KEYS": ",".join((*entries, entry)), "FLOWENGINE_API_KEYS_FILE": ""}
        of_applying["FLOWENGINE_KEY"] = secret
    return of_api, of_applying


def _restart(supervisor: Supervisor) -> None:
    for name in _LOAD_HANDLERS:
        supervisor.restart(name)


def _watch(
    supervisor: Supervisor,
    interrupts: Interrupts,
    server: EmbeddedServer | None,
    port: int,
    handlers: HandlerReload,
    welcome: str,
) -> None:
    greeted = False
    while interrupts.first is None:
        supervisor.step(0.1 if not greeted else POLL_S if handlers.watches else None)
        if fatal := supervisor.fatal():
            raise CannotRunError(f"the {fatal} cannot run: see above")
        if server is not None and not server.is_alive():
            raise CannotRunError("the embedded server has died")
        if not greeted and _accepts(port):
            greeted = True
            click.echo(welcome)
        handlers.look()
    click.echo("stopping", err=True)


def _welcome(
    port: int, data: Path | None, applied: Sequence[Path], *, embedded: bool, demo: str | None
) -> str:
    url = f"http://{HOST}:{port}"
    keeps = f"state kept in {data}" if data else "nothing is kept after the end (--data DIR keeps it)"
    server = f"embedded, {keeps}" if embedded else "the one that REDIS_URL names"
    rows = {
        "page": f"{url}/ui",
        "API": url,
        "docs": f"{url}/docs",
        "editors": f"# yaml-language-server: $schema={url}/docs/workflow.schema.json  (line 1 of a workflow)",
        "server": server,
        **({"demo": f"{demo}, which the examples call"} if demo else {}),
        **({"applies": f"{', '.join(map(str, applied))}, now and when files change"} if applied else {}),
        "try": f"flowengine submit {_one_of(applied)} --follow",
        "see": "flowengine list, then show ID, logs ID, cancel ID",
    }
    if port != USUAL_PORT:
        rows["first"] = f"export FLOWENGINE_URL={url}"
    lines = [f"  {name:<8}{text}" for name, text in rows.items()]
    return "\n".join([f"FlowEngine {__version__} is up. Ctrl-C stops everything.", *lines])


def _one_of(applied: Sequence[Path]) -> str:
    """A workflow that is there to be tried."""
    files = (
        file
        for path in applied
        for file in (sorted(path.glob("*.yaml")) if path.is_dir() else [path])
        if not file.name.endswith(".test.yaml")
    )
    found = next(files, None)
    return "FILE" if found is None else shlex.quote(str(found))


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
    if APPLYING in line and _REQUEST in line:  # what applies workflows tells of it itself
        return
    colour = COLOURS[service] if sys.stdout.isatty() and styles_wanted() else None
    label = f"{service:<12}"
    click.echo(f"{click.style(label, fg=colour) if colour else label} | {plain_text(line)}")


def _report(event: str, **fields: object) -> None:
    if event != "process.started":
        values = " ".join(f"{name}={value}" for name, value in fields.items() if name != "process")
        _print_line(str(fields["process"]), f"{event} {values}")
