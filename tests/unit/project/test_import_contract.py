"""Imports point down only, and the core knows no I/O, no clock, no randomness."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

CONTRACTS = Path(__file__).parents[3] / "pyproject.toml"
IMPURE = ("asyncio", "dramatiq", "httpx", "litestar", "redis", "socket", "ssl", "structlog", "uvicorn")


def run(*arguments: str) -> subprocess.CompletedProcess[str]:
    """A Python process and what it printed."""
    return subprocess.run(
        [sys.executable, *arguments], capture_output=True, text=True, timeout=60, check=False
    )


def test_the_import_contracts_hold() -> None:
    """As import-linter reads them in pyproject.toml."""
    call = f"lint_imports({str(CONTRACTS)!r}, no_cache=True)"
    result = run("-c", f"from importlinter.cli import lint_imports; raise SystemExit({call})")
    assert result.returncode == 0, result.stdout + result.stderr
    assert "0 broken" in result.stdout


def test_the_core_loads_nothing_that_talks_to_the_world() -> None:
    """Importing the core loads no library of I/O."""
    modules = "flowengine.workflow.validation, flowengine.template, flowengine.execution.records"
    result = run("-c", f"import sys, {modules}; print([m for m in {IMPURE!r} if m in sys.modules])")
    assert (result.returncode, result.stdout) == (0, "[]\n"), result.stderr


def test_the_api_loads_no_dramatiq() -> None:
    """The API writes its messages to streams directly. Dramatiq would only take memory there."""
    modules = "flowengine.bootstrap, flowengine.api.app, flowengine.api.server"
    result = run("-c", f"import sys, {modules}; print('dramatiq' in sys.modules)")
    assert (result.returncode, result.stdout) == (0, "False\n"), result.stderr


def test_the_client_loads_none_of_the_services_libraries() -> None:
    """A program that only asks a stack has neither its web framework nor its queues in memory."""
    unwanted = ("litestar", "dramatiq", "redis", "uvicorn", "jinja2")
    result = run("-c", f"import sys, flowengine.client; print([m for m in {unwanted!r} if m in sys.modules])")
    assert (result.returncode, result.stdout) == (0, "[]\n"), result.stderr
