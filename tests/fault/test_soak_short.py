"""A short soak: what `just soak` does for 90 s, in CI."""

from __future__ import annotations

import sys

import pytest

from tests.fault.soak import soak
from tests.fault.soak_faults import FAULTS

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
