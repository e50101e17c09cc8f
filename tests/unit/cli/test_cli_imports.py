"""What the tool and the stack's processes do not import: it would cost time at each start, and memory."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

TERMINAL_LIBRARIES = ("rich", "pygments", "click")
IMPORT = "from flowengine.cli.processes.lean_imports import import_lean"
LOADED = f"[name for name in {TERMINAL_LIBRARIES!r} if name in sys.modules]"


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


def test_help_imports_no_library_of_the_services() -> None:
    """`flowengine --help` answers at once."""
    script = (
        "import sys, json; sys.argv = ['flowengine', '--help']\n"
        "try:\n    from flowengine.cli import main; main()\n"
        "except SystemExit:\n    print(json.dumps(sorted(sys.modules)))"
    )
    loaded = {name.partition(".")[0] for name in json.loads(python("-c", script).splitlines()[-1])}
    assert loaded.isdisjoint(
        {"litestar", "redis", "httpx", "jinja2", "dramatiq", "structlog", "rich", "yaml", "msgspec"}
    )


def test_libraries_are_imported_without_rich() -> None:
    """rich, pygments and click are not loaded although they are installed."""
    assert python("-c", f"import sys; {IMPORT}; import_lean('structlog', 'httpx'); print({LOADED})") == "[]"


def test_rich_can_be_imported_afterwards() -> None:
    """A user's handler may need it."""
    assert python("-c", f"{IMPORT}; import_lean('structlog'); import rich; print(rich.__name__)") == "rich"


def test_click_stays_if_it_is_loaded_already() -> None:
    """The tool needs it."""
    code = f"import sys, click; {IMPORT}; import_lean('structlog'); print(sys.modules['click'] is click)"
    assert python("-c", code) == "True"


@pytest.mark.parametrize(
    ("program", "library", "printed"),
    [
        (("service_process", "worker"), "httpx", "[] True"),
        (("api_process",), "litestar", "['click'] True"),  # uvicorn needs click
    ],
    ids=["worker", "api"],
)
def test_processes_load_no_rich(tmp_path: Path, program: tuple[str, ...], library: str, printed: str) -> None:
    """When a process imports its users' handlers, it has its own libraries and none for the terminal."""
    (tmp_path / "printing_handlers.py").write_text(
        f"import os, sys; print({LOADED}, {library!r} in sys.modules, flush=True); os._exit(0)"
    )
    module, *arguments = program
    environment = {"PYTHONPATH": str(tmp_path), "FLOWENGINE_HANDLERS": "printing_handlers"}
    assert python("-m", f"flowengine.cli.processes.{module}", *arguments, **environment) == printed
