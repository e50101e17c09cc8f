"""What the tests of README and the reference share: a folder like a clone, and a development stack in it."""

from __future__ import annotations

import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.e2e.docs.markdown_files import README, TOPICS, installed
from tests.support.rigs.stack_processes import ROOT, Process, clean_environment
from tests.support.servers.valkey import free_port
from tests.support.waiting import wait_until

OWN_DEV = "FLOWENGINE_HANDLERS=my_handlers flowengine dev"
WAIT_S = 60.0

Shell = Callable[..., subprocess.CompletedProcess[str]]


@pytest.fixture(scope="package")
def clone(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder like a fresh clone: the workflows, the example handlers, and no settings."""
    folder = tmp_path_factory.mktemp("clone")
    (folder / "workflows").symlink_to(ROOT / "workflows")
    examples = (*TOPICS["handlers"].blocks("python"), *README.blocks("python"))
    (folder / "my_handlers.py").write_text("\n\n".join(examples))
    return folder


@pytest.fixture(scope="package")
def metrics_port() -> int:
    """The first port that orchestrator and worker of `dev_url` may serve metrics at."""
    return free_port()


@pytest.fixture(scope="package")
def dev_url(clone: Path, metrics_port: int) -> Iterator[str]:
    """Where `flowengine dev` serves, started as the reference says, without workflows; it must end well on
    Ctrl-C."""
    port = free_port()
    argv = ["env", *installed(OWN_DEV).split(), "--no-apply", "--port", str(port)]
    settings = clean_environment(FLOWENGINE_METRICS_PORT=str(metrics_port))
    process = Process("dev", argv, settings, clone)
    try:
        wait_until(
            lambda: any(f"http://127.0.0.1:{port}/docs" in line for line in process.lines),
            within_s=WAIT_S,
            what="the stack's welcome",
        )
        yield f"http://127.0.0.1:{port}"
        process.interrupt()
        assert process.wait(20) in (0, 130)
    finally:
        process.close()


@pytest.fixture
def shell(clone: Path) -> Shell:
    """Runs a command in the folder, by a shell, with the settings given and no others."""

    def run(command: str, *, folder: Path | None = None, **settings: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            installed(command),
            shell=True,
            cwd=folder or clone,
            env=clean_environment(**settings),
            capture_output=True,
            text=True,
            timeout=WAIT_S,
        )

    return run


def finished(url: str, execution: str) -> dict[str, Any]:
    """The results, once the execution has ended."""
    status = f"{url}/workflows/{execution}"
    wait_until(
        lambda: httpx.get(status, trust_env=False).json()["status"] in ("completed", "failed"),
        within_s=WAIT_S,
        what="the end of the execution",
    )
    answer: dict[str, Any] = httpx.get(f"{status}/results", trust_env=False).json()
    return answer
