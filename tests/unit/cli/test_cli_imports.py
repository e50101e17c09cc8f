"""The stack's processes do without what libraries import for show."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

FOR_SHOW = ("rich", "pygments", "click")
IMPORT = "from flowengine.cli.processes.import_without_rich import import_without_rich"
LOADED = f"[name for name in {FOR_SHOW!r} if name in sys.modules]"


def python(*arguments: str, **environment: str) -> str:
    """What a Python process printed on its standard output; it must end well."""
    ran = subprocess.run(
        [sys.executable, *arguments],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
        stdin=subprocess.DEVNULL,
        env={**os.environ, **environment},
    )
    assert ran.returncode == 0, ran.stderr
    return ran.stdout.strip()


def test_libraries_are_imported_without_what_is_for_show() -> None:
    """rich and its like stay out although they are installed."""
    assert (
        python("-c", f"import sys; {IMPORT}; import_without_rich('structlog', 'httpx'); print({LOADED})")
        == "[]"
    )


def test_who_wants_it_afterwards_gets_it() -> None:
    """A user's handler may import rich as ever."""
    assert (
        python("-c", f"{IMPORT}; import_without_rich('structlog'); import rich; print(rich.__name__)")
        == "rich"
    )


def test_what_is_there_already_stays() -> None:
    """The tool has click, and keeps it."""
    code = (
        f"import sys, click; {IMPORT}; import_without_rich('structlog'); print(sys.modules['click'] is click)"
    )
    assert python("-c", code) == "True"


@pytest.mark.parametrize(
    ("program", "library", "told"),
    [
        (("service_process", "worker"), "httpx", "[] True"),
        (("api_process",), "litestar", "['click'] True"),  # uvicorn needs click
    ],
    ids=["worker", "api"],
)
def test_processes_are_lean(tmp_path: Path, program: tuple[str, ...], library: str, told: str) -> None:
    """By the time that one imports its users' handlers it has loaded nothing for show."""
    (tmp_path / "telling_handlers.py").write_text(
        f"import os, sys; print({LOADED}, {library!r} in sys.modules, flush=True); os._exit(0)"
    )
    module, *arguments = program
    environment = {"PYTHONPATH": str(tmp_path), "FLOWENGINE_HANDLERS": "telling_handlers"}
    assert python("-m", f"flowengine.cli.processes.{module}", *arguments, **environment) == told
