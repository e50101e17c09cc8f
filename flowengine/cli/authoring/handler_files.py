"""The files of the handler modules that FLOWENGINE_HANDLERS names: which are watched, and whether they load.

A module in the current folder may import any other from there, so all Python files of the folder count. Of
another module, its own file or its package counts.
"""

from __future__ import annotations

import contextlib
import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from importlib.machinery import PathFinder
from pathlib import Path
from typing import Final

MOST: Final = 2000
"""So many files are watched. A folder with more is no project of handlers."""
_NOT_OURS: Final = frozenset({"__pycache__", "node_modules", "build", "dist", "site-packages", "tests"})
_VENV: Final = "pyvenv.cfg"
_FIRST_LINE: Final = "error: "


def handler_files(modules: Sequence[str]) -> list[Path]:
    """The files that handlers of these modules come from, as far as can be told without importing them."""
    here = Path.cwd()
    found: dict[Path, None] = {}
    for name in modules:
        for place in _places(name.partition(".")[0], here):
            root = here if place.parent == here else place
            for path in _python_files(root) if root.is_dir() else (root,):
                found[path] = None
                if len(found) == MOST:
                    return list(found)
    return list(found)


class LoadCheck:
    """Whether the modules can be loaded, tried in a process of its own: it takes a second and may crash."""

    def __init__(self, environment: Mapping[str, str]) -> None:
        self._environment = environment
        self._process: subprocess.Popen[bytes] | None = None
        self._said = tempfile.TemporaryFile()  # noqa: SIM115 - it is as long there as this is

    @property
    def is_running(self) -> bool:
        """Whether there is a check whose answer nobody has asked for."""
        return self._process is not None

    def start(self) -> None:
        """Begin anew; an answer that was to come is not needed any more."""
        self._end()
        self._said.seek(0)
        self._said.truncate()
        self._process = subprocess.Popen(
            [sys.executable, "-P", "-m", "flowengine", "handlers", "--json"],
            env=self._environment,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=self._said,
            process_group=0,
        )

    def answer(self) -> str | None:
        """What is wrong, or an empty text; None: not known yet."""
        if self._process is None or self._process.poll() is None:
            return None
        code = self._process.returncode
        self._process = None
        if code == 0:
            return ""
        self._said.seek(0)
        said = self._said.read().decode("utf-8", "replace").strip()
        return said.removeprefix(_FIRST_LINE) or f"the check of the handlers ended with exit code {code}"

    def close(self) -> None:
        """End it, if it runs, and remove what it has printed."""
        self._end()
        self._said.close()

    def _end(self) -> None:
        if self._process is not None:
            self._process.kill()
            self._process.wait()
            self._process = None


def _places(name: str, here: Path) -> Iterator[Path]:
    """Where a module is: its file, or the folder of its package. The current folder is searched last."""
    with contextlib.suppress(ImportError, ValueError, AttributeError):
        spec = PathFinder.find_spec(name, [*sys.path, str(here)])
        if spec is not None and spec.submodule_search_locations:
            yield from map(Path, spec.submodule_search_locations)
        elif spec is not None and spec.origin:
            yield Path(spec.origin)


def _python_files(folder: Path) -> Iterator[Path]:
    for place, folders, names in os.walk(folder):
        folders[:] = sorted(
            name
            for name in folders
            if not name.startswith(".")
            and name not in _NOT_OURS
            and not os.path.exists(os.path.join(place, name, _VENV))
        )
        yield from (Path(place, name) for name in sorted(names) if name.endswith(".py"))
