"""What a service does not have in memory once it is built: each process keeps what it imports for good."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import threading

import pytest

from flowengine.cli.processes.api_process import unneeded

LEAN = "from flowengine.cli.processes.lean_imports import as_if_not_installed, import_lean; import_lean"
PRINT = "import json, sys; print(json.dumps(sorted(sys.modules)))"
ORCHESTRATOR = f"""
{LEAN}("msgspec", "structlog", "redis")
from flowengine.bootstrap import read_settings
from flowengine.orchestrator.process import build
build(read_settings())
{PRINT}
"""
WORKER = f"""
{LEAN}("msgspec", "structlog", "redis", "httpx")
import threading
from flowengine.bootstrap import read_environment, read_settings
from flowengine.worker.process import build
build(read_settings(), read_environment(), threading.Event())
{PRINT}
"""
API = f"""
{LEAN}("structlog", "redis")
import flowengine.api.server
from flowengine.api.app import create_app
from flowengine.bootstrap import build_access, build_executions, read_settings
from flowengine.handlers.loading import load_registry
settings = read_settings()
registry = load_registry(settings.handlers)
with as_if_not_installed("opentelemetry", "pydantic"):
    create_app(build_executions(settings, registry), registry, settings, build_access(settings))
{PRINT}
"""
NOBODY = (
    *("rich", "ruamel", "jinja2", "zoneinfo", "sysconfig", "prometheus_client", "opentelemetry"),
    *("flowengine.layout.plan_drawing", "flowengine.testing", "flowengine.template.grammar"),
    *("flowengine.handlers.llm.failure_table", "flowengine.engine.forking.copy_step"),
)
NO_API = ("litestar", "uvicorn", "anyio", "yaml", "multiprocessing", "click", "flowengine.api")
NO_COMMANDS = (
    *("flowengine.layout", "flowengine.engine.commands.cancel", "flowengine.engine.commands.trigger"),
    *("flowengine.engine.queries", "flowengine.engine.executions", "flowengine.store.bulks"),
    *("flowengine.engine.definitions.definitions", "flowengine.store.operations.stats"),
    *("flowengine.store.api_state", "flowengine.store.access.redis_access", "html", "typing_extensions"),
)


def loaded_by(script: str) -> list[str]:
    """The modules that a process has which runs this, with a server that does not answer."""
    environment = {name: value for name, value in os.environ.items() if not name.startswith("FLOWENGINE_")}
    ran = subprocess.run(
        [sys.executable, "-c", script],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
        env={**environment, "REDIS_URL": "redis://127.0.0.1:1/0"},
    )
    assert ran.returncode == 0, ran.stderr
    names: list[str] = json.loads(ran.stdout.splitlines()[-1])
    return names


@pytest.mark.parametrize(
    ("script", "unwanted"),
    [
        (
            ORCHESTRATOR,
            (
                *(*NOBODY, *NO_API, *NO_COMMANDS, "httpx", "jmespath", "jsonschema_rs", "re2"),
                *("flowengine.worker", "flowengine.engine.advancing.steps.bulk_step"),
                *("flowengine.engine.chains", "flowengine.engine.schedules", "flowengine.store.chains"),
                "flowengine.engine.advancing.steps.child_step",
            ),
        ),
        (
            WORKER,
            (
                *(name for name in (*NOBODY, *NO_API, *NO_COMMANDS) if name != "anyio"),
                *("flowengine.orchestrator", "flowengine.engine.advancing"),
                "flowengine.store.maintenance.sweep_reads",
            ),
        ),
        (
            API,
            (
                *(*NOBODY, "dramatiq", "httpx", "flowengine.worker", "flowengine.orchestrator"),
                "flowengine.engine.advancing.orchestrator",
            ),
        ),
    ],
    ids=["orchestrator", "worker", "api"],
)
def test_a_service_has_only_what_it_needs(script: str, unwanted: tuple[str, ...]) -> None:
    """What few stacks need is imported when it is first asked for."""
    beginnings = tuple(f"{name}." for name in unwanted)
    assert [name for name in loaded_by(script) if f"{name}.".startswith(beginnings)] == []


def test_nothing_is_hidden_from_threads_of_handlers() -> None:
    """One that imported pydantic while the API was built was told that it is not installed."""
    threads, done = threading.active_count(), threading.Event()
    assert unneeded(threads) == ("opentelemetry", "pydantic")
    thread = threading.Thread(target=done.wait)
    thread.start()
    assert unneeded(threads) == ()
    done.set()
    thread.join()
