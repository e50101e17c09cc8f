"""Virtual environments of the peers, made once in the user's cache folder.

Each peer gets its own, so that its dependencies never meet ours and it runs as its users run it.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

INSTALL_WITHIN_S = 300


class NotInstallableError(Exception):
    """A peer's packages could not be installed here."""


def cache_folder() -> Path:
    """$XDG_CACHE_HOME, else ~/.cache, else a temporary folder."""
    home = os.environ.get("XDG_CACHE_HOME") or (Path.home() / ".cache")
    folder = Path(home) / "flowengine-benchmark"
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError:
        return Path(tempfile.mkdtemp(prefix="flowengine-benchmark-"))
    return folder


def python_of(name: str, requirements: Sequence[str]) -> Path:
    """The interpreter of the environment with these requirements; makes it if there is none yet.

    Raises NotInstallableError.
    """
    folder = cache_folder() / f"{name}-py{sys.version_info.major}{sys.version_info.minor}"
    stamp = folder / "requirements.txt"
    python = folder / "bin" / "python"
    wanted = "\n".join(requirements)
    if python.exists() and stamp.exists() and stamp.read_text() == wanted:
        return python
    shutil.rmtree(folder, ignore_errors=True)
    if shutil.which("uv"):
        _run("uv", "venv", "--quiet", "--python", sys.executable, str(folder))
        _run("uv", "pip", "install", "--quiet", "--python", str(python), *requirements)
    else:
        _run(sys.executable, "-m", "venv", str(folder))
        _run(str(python), "-m", "pip", "install", "--quiet", *requirements)
    stamp.write_text(wanted)
    return python


def _run(*command: str) -> None:
    try:
        subprocess.run(command, check=True, capture_output=True, text=True, timeout=INSTALL_WITHIN_S)
    except subprocess.CalledProcessError as error:
        raise NotInstallableError((error.stderr or str(error)).strip().splitlines()[-1]) from error
    except (OSError, subprocess.TimeoutExpired) as error:
        raise NotInstallableError(str(error)) from error
