"""How often Python looks for objects that refer to each other in a ring and that nobody else knows.

By default it looks after each 700 objects that are made and kept, and from time to time through all that the
process has: 1 to 6 % of a service's processor time, and pauses of 50 ms. Messages leave no such rings.
"""

from __future__ import annotations

import gc

from flowengine.heuristics import KEPT_BETWEEN_LOOKS


def collect_rarely() -> None:
    """Look less often, and never at what there is now: a service is built, and all of it stays.

    To be called once, when a service is about to serve.
    """
    gc.freeze()
    _, younger, older = gc.get_threshold()
    gc.set_threshold(KEPT_BETWEEN_LOOKS, younger, older)
