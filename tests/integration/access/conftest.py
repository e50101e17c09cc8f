"""The API over a real server, and the tool beside it."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from flowengine.bootstrap import build_access, build_executions
from flowengine.cli.tool import tool
from flowengine.engine.executions import StoredExecutions
from flowengine.settings import Settings
from flowengine.store.access.redis_access import RedisAccess
from tests.support.servers.served_api import catalog
from tests.support.servers.valkey import Valkey

Run = Callable[..., Result]


@pytest.fixture
def access(valkey: Valkey) -> Iterator[RedisAccess]:
    """Keys on the session's server, which is empty."""
    with closing(build_access(Settings(redis_url=valkey.url))) as made:
        yield made


@pytest.fixture
def run(valkey: Valkey, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Run:
    """Runs a command of the tool in this process, on that server and in an empty folder."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("REDIS_URL", valkey.url)
    monkeypatch.setattr(sys, "path", list(sys.path))

    def command(*arguments: str) -> Result:
        return CliRunner().invoke(tool, arguments)

    return command


@pytest.fixture
def executions(valkey: Valkey) -> StoredExecutions:
    """Executions on that server."""
    return build_executions(Settings(redis_url=valkey.url), catalog())
