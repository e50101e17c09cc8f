"""A short soak: what `just soak` does for 90 s, in CI."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from tests.fault.soak import soak
from tests.fault.soak_faults import FAULTS
from tests.fault.soak_turns import FILE, Turns, noted

SECONDS = 22.0
SEED = 7


@pytest.mark.proves("random-faults")
@pytest.mark.slow
@pytest.mark.timeout(240)
def test_nothing_is_lost_in_a_short_soak(capsys: pytest.CaptureFixture[str]) -> None:
    """Real processes, killed, stopped and cut off, the server too: what was accepted has finished and is
    right, nothing was logged as an error, and none of the faults that count was left out."""
    report = soak(SECONDS, SEED)
    with capsys.disabled():
        sys.stdout.write(f"\n{report.text()}\n")
    assert report.ok, report.text()
    assert len(report.faults) >= len(FAULTS) // 2


def test_the_count_of_turns_sees_one_too_many(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Of calls that overlap; not of those that were made twice, or in what was stopped."""
    monkeypatch.setenv(FILE, str(tmp_path / "turns"))
    with noted("late-0", "x", 1, "a"), noted("late-0", "y", 1, "a"), noted("in-0", "x", 1, "b"):
        pass
    with noted("late-1", "x", 1, "c"), noted("late-1", "z", 1, "c"):
        pass
    with noted("late-1", "z", 1, "c"), noted("late-1", "y", 1, "c"):
        pass
    for node in ("first", "last"):
        with noted("group-0", "g", 1, node), noted("group-0", f"of {node}", 1, node):
            pass
    limits = {"late": 1, "in": 1, "group": 1}
    (late, group) = sorted(Turns(tmp_path / "turns", frozenset()).mistakes(limits), reverse=True)
    assert "late-0" in late
    assert "group-0" in group
    assert not list(Turns(tmp_path / "turns", frozenset({"y", "g"})).mistakes(limits))
