"""The containers' health check."""

from __future__ import annotations

import socket
from pathlib import Path

import pytest
import yaml

from flowengine.broker.wire import GROUP, ORCHESTRATOR_QUEUE, WORKER_QUEUE, stream_key
from flowengine.cli import probe
from tests.support.valkey import Valkey

ROOT = Path(__file__).parents[2]


def test_reader_of_this_host_counts() -> None:
    """A consumer whose name starts with the host's and that has read lately is a reader."""
    assert probe.reads(_reply(("box-12-ab", 400)), host="box")


def test_reader_of_another_host_does_not_count() -> None:
    """Another container's consumers say nothing about this one."""
    assert not probe.reads(_reply(("boxer-12-ab", 400), ("other-1-cd", 1)), host="box")


def test_silent_reader_does_not_count() -> None:
    """A consumer that has not read for long is stuck, or cut off."""
    assert not probe.reads(_reply(("box-12-ab", probe.SILENT_MS)), host="box")


def test_missing_queue_means_nobody_reads() -> None:
    """An error reply lists no consumers."""
    assert not probe.reads(b"+OK\r\n-ERR no such key\r\n+OK\r\n", host="box")


def test_probe_asks_a_real_server(valkey: Valkey, monkeypatch: pytest.MonkeyPatch) -> None:
    """A consumer that has just read makes the probe succeed, on a server that has none it fails."""
    monkeypatch.setenv("REDIS_URL", valkey.url)
    monkeypatch.setattr("sys.argv", ["probe", stream_key(WORKER_QUEUE)])
    assert probe.main() == 1
    with valkey.connect() as client:
        client.xgroup_create(stream_key(WORKER_QUEUE), GROUP, id="0", mkstream=True)
        client.xreadgroup(GROUP, f"{socket.gethostname()}-1-x", {stream_key(WORKER_QUEUE): ">"})
    assert probe.main() == 0


def test_probe_fails_where_nothing_listens(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """An unreachable server is a reason, not a traceback."""
    monkeypatch.setenv("REDIS_URL", "redis://127.0.0.1:1/0")
    monkeypatch.setattr("sys.argv", ["probe", "fe:q:worker"])
    assert probe.main() == 1
    assert "Redis does not answer" in capsys.readouterr().out


def test_compose_probes_the_queues_that_exist() -> None:
    """compose.yaml spells the streams' names out; they are the broker's."""
    services = yaml.safe_load((ROOT / "compose.yaml").read_text())["services"]
    for service, queue in (("orchestrator", ORCHESTRATOR_QUEUE), ("worker", WORKER_QUEUE)):
        assert services[service]["healthcheck"]["test"][-1] == stream_key(queue)


def _reply(*consumers: tuple[str, int]) -> bytes:
    rows = [
        f"*8\r\n$4\r\nname\r\n${len(name)}\r\n{name}\r\n$7\r\npending\r\n:0\r\n$4\r\nidle\r\n:{idle}\r\n"
        f"$8\r\ninactive\r\n:{idle}\r\n"
        for name, idle in consumers
    ]
    return f"+OK\r\n*{len(rows)}\r\n{''.join(rows)}+OK\r\n".encode()
