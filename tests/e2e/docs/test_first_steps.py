"""The way from nothing to a workflow that is tested and starts by itself, with the wheel alone."""

from __future__ import annotations

import os
import re
import shlex
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

import httpx
import pytest

from flowengine import __version__
from tests.support.rigs.stack_processes import ROOT, START_S, Process, clean_environment
from tests.support.servers.valkey import free_port
from tests.support.waiting import wait_until


def ran(folder: Path, *command: str, **settings: str) -> subprocess.CompletedProcess[str]:
    """A command in this folder, as its user runs it."""
    return subprocess.run(
        command, cwd=folder, env=clean_environment(**settings), capture_output=True, text=True, timeout=100
    )


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Built from a source distribution, as it is published."""
    if shutil.which("uv") is None:
        pytest.skip("uv, which builds and installs it, is not here")
    folder = tmp_path_factory.mktemp("dist")
    built = ran(folder, "uv", "build", "--quiet", "--out-dir", str(folder), str(ROOT))
    assert built.returncode == 0, built.stderr
    (found,) = folder.glob("*.whl")
    return found


@pytest.fixture(scope="module")
def installed(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of commands of an environment that has the wheel and what it needs, and nothing else."""
    folder = tmp_path_factory.mktemp("bare") / "venv"
    made = ran(folder.parent, "uv", "venv", "--quiet", "--python", sys.executable, str(folder))
    assert made.returncode == 0, made.stderr
    package = f"flowengine[embedded] @ {wheel.as_uri()}"
    python = str(folder / "bin" / "python")
    put = ran(folder.parent, "uv", "pip", "install", "--quiet", "--python", python, package)
    assert put.returncode == 0, put.stderr
    return folder / "bin"


@pytest.mark.slow
def test_wheel_works_by_itself_as_uvx_runs_it(wheel: Path, tmp_path: Path) -> None:
    """In an environment of its own, which uv makes for the one command."""
    assert wheel.name.split("-")[1] == __version__
    assert not [name for name in zipfile.ZipFile(wheel).namelist() if "tests/" in name]
    package = f"flowengine[embedded] @ {wheel.as_uri()}"
    tool_run = ("uv", "tool", "run", "--quiet", "--isolated", "--from", package)
    told = ran(tmp_path, *tool_run, "flowengine", "--version", PYTHONPATH="")
    assert told.stdout == f"flowengine {__version__}\n"


def commands_of_the_path() -> list[list[str]]:
    """What the reference says to type on the way to the first schedule, terminal by terminal."""
    text = (ROOT / "flowengine/reference/commands.md").read_text()
    section = text.partition("From an empty folder")[2].partition("\n## ")[0]
    blocks = re.findall(r"```console\n(.*?)```", section, re.DOTALL)
    return [re.findall(r"^\$ (.+)$", block, re.MULTILINE) for block in blocks]


@pytest.mark.slow
@pytest.mark.timeout(300)
def test_newcomer_comes_from_an_empty_folder_to_a_schedule(installed: Path, tmp_path: Path) -> None:
    """Command by command as they are written, with the wheel alone: under ten, and none of them fails.

    A port that is free here stands in the settings; the commands stay as they are.
    """
    first, second = commands_of_the_path()
    assert len(first) + len(second) < 10
    assert first[-1] == "flowengine dev"
    port = free_port()
    settings = {
        "PYTHONPATH": "",
        "PATH": f"{installed}{os.pathsep}{os.environ['PATH']}",
        "FLOWENGINE_PORT": str(port),
        "FLOWENGINE_URL": f"http://127.0.0.1:{port}",
    }
    folder = tmp_path / "empty"
    folder.mkdir()
    told = typed(folder, first[:-1], settings)
    assert "Test it:       flowengine test" in told["flowengine init greetings"]
    assert "1 passed" in told["flowengine test"]
    project = folder / "greetings"
    environment = clean_environment(**settings)
    stack = Process("dev", shlex.split(first[-1]), environment, project)
    try:
        wait_until(
            lambda: any("applied: 1 new" in line for line in stack.lines) or stack.exit_code is not None,
            within_s=START_S,
        )
        assert any(
            "try     flowengine submit workflows/greeting.yaml --follow" in line for line in stack.lines
        )
        told = typed(folder, second, settings)
        assert told["flowengine apply workflows"] == "1 the same\n"
        assert told["flowengine schedules"].split("\t")[:2] == ["greeting", "mornings"]
        assert "completed: greeting, 2 nodes" in told["flowengine submit greeting --wait"]
        (line,) = [line for line in stack.lines if "yaml-language-server" in line]
        address = line.partition("$schema=")[2].split()[0]
        for at in (address, address.replace("workflow.schema", "tests.schema")):
            assert (
                httpx.get(at, trust_env=False, timeout=30).json()["$schema"].startswith("https://json-schema")
            )
        stack.interrupt()
        assert stack.wait() == 0
    finally:
        stack.close()


def typed(folder: Path, commands: list[str], settings: dict[str, str]) -> dict[str, str]:
    """What each command has printed, in a terminal that begins in this folder. None may fail."""
    printed = {}
    for command in commands:
        words = shlex.split(command)
        if words[0] == "cd":
            folder /= words[1]
            continue
        done = ran(folder, *words, **settings)
        assert done.returncode == 0, f"{command}: {done.stdout}{done.stderr}"
        printed[command] = done.stdout + done.stderr
    return printed
