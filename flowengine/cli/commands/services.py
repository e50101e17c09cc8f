"""The commands that run one service each: `api`, `orchestrator`, `worker`.

They only read the options. Then this process becomes another program: the supervisor, which needs neither
click nor any library of the service, or the API itself. It does so by exec, so that the pid stays that a
container or systemd knows.
"""

from __future__ import annotations

import os
import sys
from typing import TYPE_CHECKING

import click

from flowengine.cli.processes.command_lines import api_program, service_program, supervisor_program
from flowengine.cli.tool_settings import read_settings

if TYPE_CHECKING:
    from flowengine.settings import Settings

_processes = click.option(
    "--processes", type=click.IntRange(1, 256), default=1, show_default=True, help="How many to run."
)
_grace = click.option(
    "--grace",
    type=click.FloatRange(0, 3600),
    metavar="SECONDS",
    help="How long what runs may take to finish when asked to stop.  [default: 30]",
)
_metrics_port = click.option(
    "--metrics-port",
    type=click.IntRange(0, 65535),
    metavar="PORT",
    help="Serve Prometheus metrics there; each process takes the first free port from it on.  "
    "[default: FLOWENGINE_METRICS_PORT or none]",
)


@click.command()
@click.option("--host", help="Address to listen on.  [default: FLOWENGINE_HOST or 127.0.0.1]")
@click.option(
    "--port", type=click.IntRange(0, 65535), help="Port to listen on.  [default: FLOWENGINE_PORT or 8000]"
)
@click.option(
    "--insecure", is_flag=True, help="Allow an address other than loopback although no API key is set."
)
def api(host: str | None, port: int | None, insecure: bool) -> None:
    """Run the HTTP API.

    Without an API key (see: flowengine key new) it listens on loopback only.
    """
    _checked_settings("api")
    _become(api_program(host=host, port=port, insecure=insecure, supervised=False))


@click.command()
@_processes
@click.option("--threads", type=click.IntRange(1, 1000), help="Threads in each process.  [default: 2]")
@_grace
@_metrics_port
def orchestrator(processes: int, threads: int | None, grace: float | None, metrics_port: int | None) -> None:
    """Run the orchestrator: starts executions, dispatches nodes, applies their outcomes.

    Processes that die are started again. SIGTERM or Ctrl-C finishes what runs and hands the rest
    back; a second one ends it at once.
    """
    _supervise("orchestrator", processes, threads=threads, grace=grace, metrics_port=metrics_port)


def _named_queues(ctx: click.Context, param: click.Parameter, value: str | None) -> str:
    names = [name.strip() for name in (value or "").split(",")]
    if value is not None and not all(names):
        raise click.BadParameter("a queue has no name here; leave the option out to serve all queues")
    return ",".join(names)


@click.command()
@_processes
@click.option(
    "--threads",
    type=click.IntRange(1, 1000),
    help="Nodes of sync handlers that each process runs at once.  [default: 16]",
)
@click.option(
    "--concurrency",
    type=click.IntRange(1, 10_000),
    help="Nodes of async handlers that each process runs at once, beside those that its threads run.  "
    "[default: FLOWENGINE_CONCURRENCY or 200]",
)
@click.option(
    "--queues", callback=_named_queues, metavar="A,B", help="Serve only these queues.  [default: all]"
)
@_grace
@_metrics_port
def worker(
    processes: int,
    threads: int | None,
    concurrency: int | None,
    queues: str,
    grace: float | None,
    metrics_port: int | None,
) -> None:
    """Run workers: they run the nodes' handlers.

    Processes that die are started again. SIGTERM or Ctrl-C finishes what runs and hands the rest
    back; a second one ends it at once.
    """
    _supervise(
        "worker",
        processes,
        threads=threads,
        concurrency=concurrency,
        queues=queues,
        grace=grace,
        metrics_port=metrics_port,
    )


def _supervise(
    service: str,
    processes: int,
    *,
    threads: int | None,
    concurrency: int | None = None,
    queues: str = "",
    grace: float | None,
    metrics_port: int | None,
) -> None:
    grace_s = _checked_settings(service).grace_s if grace is None else grace
    child = service_program(
        service,
        threads=threads,
        concurrency=concurrency,
        queues=queues,
        grace_s=grace_s,
        metrics_port=metrics_port,
    )
    _become(supervisor_program(service, processes, grace_s, child))


def _checked_settings(service: str) -> Settings:
    """The settings. Wrong ones are refused here, once, and not by each process."""
    settings = read_settings()
    if settings.unknown:
        from flowengine.cli.output.supervisor_log import SupervisorLog

        SupervisorLog(service)("settings.unknown_ignored", names=list(settings.unknown))
    return settings


def _become(program: list[str]) -> None:
    sys.stdout.flush()
    sys.stderr.flush()
    os.execv(program[0], program)
