"""What could not be reported comes back more slowly the longer that goes on."""

from __future__ import annotations

from flowengine.broker.leases.outage_pause import OutagePause


def test_it_grows_with_the_outage_up_to_its_bound_and_ends_with_it() -> None:
    """The first comes back at once: most outages are short."""
    times = [5.0, 6.0, 8.0, 12.0, 20.0, 40.0, 70.0, 71.0]
    pause = OutagePause(12.0, clock=lambda: times.pop(0))
    assert [pause.after_failure() for _ in range(6)] == [0.0, 1.0, 3.0, 7.0, 12.0, 12.0]
    assert pause.after_failure() == 0.0, "that is another outage"
    pause.succeeded()
    assert pause.after_failure() == 0.0
