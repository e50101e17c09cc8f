"""What a process needs for its threads is made sure of before it takes work, or it says what is missing."""

from __future__ import annotations

import resource

import dramatiq
import pytest

from flowengine.bootstrap import start_worker
from flowengine.broker.broker import StreamsBroker
from flowengine.errors import SettingsError
from flowengine.supervision.open_files import FILES_PER_THREAD, OTHER_FILES, allow_files
from tests.support.servers.valkey import Valkey

INFINITY = resource.RLIM_INFINITY


@pytest.fixture
def raised(monkeypatch: pytest.MonkeyPatch) -> list[tuple[int, int]]:
    """The limits that were set; none really is."""
    found: list[tuple[int, int]] = []
    monkeypatch.setattr(resource, "setrlimit", lambda kind, limits: found.append(limits))
    return found


def allowed(monkeypatch: pytest.MonkeyPatch, soft: int, hard: int) -> None:
    """This process may open so many files."""
    monkeypatch.setattr(resource, "getrlimit", lambda kind: (soft, hard))


@pytest.mark.parametrize("hard", [4096, INFINITY])
def test_the_soft_limit_on_files_is_raised_as_far_as_needed(
    monkeypatch: pytest.MonkeyPatch, raised: list[tuple[int, int]], hard: int
) -> None:
    """And no further: what handlers start inherits it."""
    allowed(monkeypatch, 256, hard)
    allow_files(512)
    assert raised == [(512 * FILES_PER_THREAD + OTHER_FILES, hard)]


@pytest.mark.parametrize("soft", [1024, INFINITY])
def test_a_limit_on_files_that_is_enough_is_left_alone(
    monkeypatch: pytest.MonkeyPatch, raised: list[tuple[int, int]], soft: int
) -> None:
    """The usual number of threads needs less than any system allows."""
    allowed(monkeypatch, soft, INFINITY)
    allow_files(16)
    assert raised == []


def test_a_hard_limit_on_files_that_is_too_low_is_refused(
    monkeypatch: pytest.MonkeyPatch, raised: list[tuple[int, int]]
) -> None:
    """With the number of threads that would do, if any does."""
    allowed(monkeypatch, 64, 1024)
    with pytest.raises(SettingsError, match="lower --threads to 298 and run more --processes, or raise"):
        allow_files(512)
    allowed(monkeypatch, 64, 100)
    with pytest.raises(SettingsError, match=r"may have 100: raise that limit \(ulimit -Hn"):
        allow_files(512)
    assert raised == []


def test_a_system_that_starts_no_more_threads_is_named(
    valkey: Valkey, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The process would be started again and again, and die of it each time."""

    def start(self: dramatiq.Worker) -> None:
        raise RuntimeError("can't start new thread")

    monkeypatch.setattr(dramatiq.Worker, "start", start)
    broker = StreamsBroker(lambda: valkey.connect())
    with pytest.raises(SettingsError, match=r"cannot start 512 threads \(can't start new thread\): lower it"):
        start_worker(broker, threads=512)
    broker.close()
