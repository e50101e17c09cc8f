"""The command lines of the programs in this folder: how the tool writes them and they read them.

Each is a Python program of its own, without click. `-P` keeps the current directory from standing in
for installed packages; it comes last on the path, and only once a module of FLOWENGINE_HANDLERS is loaded.
"""

from __future__ import annotations

import sys

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path
    from typing import Final

APPLYING: Final = "flowengine-dev-apply"
"""The correlation id of requests by which `flowengine dev` applies workflows."""


def service_program(
    service: str,
    *,
    threads: int | None = None,
    concurrency: int | None = None,
    queues: str = "",
    grace_s: float,
    metrics_port: int | None = None,
    owner: str = "",
    throwaway: bool = False,
) -> list[str]:
    """One orchestrator or worker process. It ends when its standard input does.

    `owner`: the only execution that it works for, by queues of its own. `throwaway`: its server keeps
    nothing, on purpose.
    """
    return [
        *_python("flowengine.cli.processes.service_process"),
        service,
        *_options(
            **{
                "threads": threads,
                "concurrency": concurrency,
                "queues": queues,
                "grace": grace_s,
                "metrics-port": metrics_port,
                "owner": owner,
            }
        ),
        *_flags(throwaway=throwaway),
    ]


def api_program(
    *,
    host: str | None = None,
    port: int | None = None,
    insecure: bool = False,
    supervised: bool,
    throwaway: bool = False,
) -> list[str]:
    """The API. `supervised`: it ends when its standard input does. `throwaway`: as of a service."""
    return [
        *_python("flowengine.cli.processes.api_process"),
        *_options(host=host, port=port),
        *_flags(insecure=insecure, supervised=supervised, throwaway=throwaway),
    ]


def applying_program(paths: Sequence[Path]) -> list[str]:
    """Applies the workflows of these files and folders, and again when they change."""
    return [*_python("flowengine.cli.authoring.applying_process"), *map(str, paths)]


def supervisor_program(service: str, processes: int, grace_s: float, child: list[str]) -> list[str]:
    """Keeps `processes` copies of the child program running."""
    return [
        *_python("flowengine.cli.processes.supervisor_process"),
        service,
        str(processes),
        *_options(grace=grace_s),
        "--",
        *child,
    ]


def parse_options(arguments: Sequence[str]) -> dict[str, str]:
    """`--name value` pairs by name; a flag, which has no value, maps to the empty text.

    Refuses nothing: only the functions above write these options.
    """
    options: dict[str, str] = {}
    name = ""
    for argument in arguments:
        if argument.startswith("--"):
            name = argument.removeprefix("--")
            options[name] = ""
        else:
            options[name] = argument
    return options


def _python(module: str) -> list[str]:
    return [sys.executable, "-P", "-m", module]


def _flags(**wanted: bool) -> list[str]:
    return [f"--{name}" for name, is_wanted in wanted.items() if is_wanted]


def _options(**values: str | float | None) -> list[str]:
    """The options that have a value."""
    return [
        part
        for name, value in values.items()
        if value not in (None, "")
        for part in (f"--{name}", str(value))
    ]
