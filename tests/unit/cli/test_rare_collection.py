"""A service's process looks for garbage rarely, and not at what it was built of."""

from __future__ import annotations

import subprocess
import sys

LOOK = """
import gc
before = len(gc.get_objects())
from flowengine.supervision.garbage import collect_rarely
collect_rarely()
ring = []; ring.append(ring); del ring
print(gc.get_freeze_count() >= before, gc.get_threshold()[0], gc.isenabled(), gc.collect() >= 1)
"""


def test_what_is_built_is_looked_through_no_more_and_new_rings_are_still_found() -> None:
    printed = subprocess.run([sys.executable, "-c", LOOK], capture_output=True, text=True, check=True).stdout
    assert printed.split() == ["True", "10000", "True", "True"]
