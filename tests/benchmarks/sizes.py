"""How much of each workload: quick ends within 3 minutes, full within 15."""

from __future__ import annotations

import msgspec


class Sizes(msgspec.Struct, frozen=True, kw_only=True):
    """Counts are nodes, executions or samples; durations are seconds; payload bytes.

    What is over soonest, and most at the mercy of what else the machine does, is measured `repeats` times
    a round.
    """

    rounds: int
    repeats: int
    chain: int = 100
    fan_out: int = 500
    many: int = 200
    hundred: int = 100
    thousand: int = 1000
    payload_nodes: int = 20
    payload_bytes: int = 100_000
    single_samples: int
    single_idle_s: float = 5.0
    idle_s: float
    backlog: int
    tries: int = 200
    flood: int = 10_000
    calls: int = 1000
    beside: int = 200
    beside_s: float = 10.0
    short_chain: int = 5
    short_chains: int = 40


QUICK = Sizes(rounds=3, repeats=3, single_samples=5, idle_s=10.0, backlog=500)
FULL = Sizes(rounds=7, repeats=2, single_samples=24, idle_s=60.0, backlog=10_000)
SETTLE_S = 3.0
WARM_NODES = 20
WARM_EXECUTIONS = 20
