"""Shortcuts that make quick work quicker, and the numbers that they go by.

None of them is needed to be right: each may be switched off by its number, and tests do so. DESIGN.md,
section 8, says what each buys, as a ratio, and what it assumes. Times are seconds.
"""

from __future__ import annotations

from typing import Final

# -- Which handlers are quick (`engine/running/handler_speed.py`). Begin unnoted, several to a delivery and
#    on the thread that fetched them are for the nodes of quick handlers only.

QUICK_HANDLER_S: Final = 0.001
"""A handler that takes less on average, rendering included, is quick: less than a round trip or two."""

SLOW_HANDLER_S: Final = 0.002
"""One that was quick is so no more once it takes this on average: not each time that the machine is busy."""

SPEED_KNOWN_AFTER: Final = 5
"""So many nodes of a handler must have run before its speed is believed."""

SPEED_WEIGHT: Final = 0.2
"""How much the newest node counts in a handler's average."""

# -- Quick nodes begin unnoted (`engine/running/starts.py`).

LASTING_S: Final = 0.05
"""A node that began unnoted and has run for longer is noted at the watchdog's next turn."""

# -- Quick nodes run several to a delivery (`engine/running/quick_group.py`).

GROUPED_NODES: Final = 8
"""So many quick nodes may come in one delivery."""

GROUPED_READS: Final = 2
"""A node that reads more outputs runs alone."""

GROUP_SLOW_S: Final = 0.05
"""When one node of a group takes longer, what waits behind it is handed back."""

GROUP_UNREPORTED_BYTES: Final = 1024 * 1024
"""A group reports as soon as its outcomes are larger together."""

# -- Of many nodes that one execution sends at once, most stand behind the queue (`broker/turn_reader.py`).

FIRST_OF_MANY: Final = 16
"""So many of them stand in the queue itself."""

# -- Callbacks and starts that wait are joined into one message (`orchestrator/process.py`).

JOINED_CALLBACKS: Final = 64
"""So many callbacks are decided in one transaction."""

JOINED_STARTS: Final = 16
"""So many small executions are started in one transaction."""

SMALL_EXECUTION_NODES: Final = 50
"""An execution of more nodes is started by itself."""

SMALL_CALLBACK_BYTES: Final = 64 * 1024
"""A callback of up to this size takes about as long as one without a result."""

# -- What the next callback needs is read with the transaction before it (`store/connection/sessions.py`).

READ_AHEAD_FOR_S: Final = 0.1
"""What was read ahead is used no later: among slow nodes the next message is seldom the expected one."""

READ_AHEAD_TRIES: Final = 3
"""Reading ahead stops after so many failures in a row."""

READ_AHEAD_AGAIN_AFTER: Final = 32
"""It is tried again after so many transactions."""

# -- A start reads the roots before it knows the plan (`engine/advancing/orchestrator.py`).

TOLD_ROOTS: Final = 8
"""The message of a first run names its roots if it has no more of them."""

TOLD_ROOTS_CHARS: Final = 256
"""It names none whose names are longer together."""

# -- A failure reads the nodes below it in growing steps (`engine/advancing/callback_batch.py`).

BELOW_AT_FIRST: Final = 16
"""So many nodes below a failure are read at first."""

BELOW_GROWS: Final = 4
"""So many times more are read each time that this is not enough."""

# -- Messages are fetched ahead, and lone ones stay on the thread that fetched them (`broker/`).

FETCHED_AHEAD_S: Final = 0.02
"""So much work is fetched ahead for each thread, where messages take less than this on average."""

FETCHED_AHEAD: Final = 4
"""No more messages than this are fetched ahead for a thread."""

STUCK_S: Final = 0.1
"""A thread that works on one message for longer is not counted on."""

JOINED_WORK_S: Final = 0.25
"""A joining queue fetches no more than so much work at once."""

HANDOVER_S: Final = 0.0001
"""A consumer keeps out of the way of the thread that it has just given a message for so long."""

LONE_IN_A_ROW: Final = 4
"""So many messages must have come one at a time before the next one stays on its thread."""

FETCHER_BUSY_S: Final = 0.01
"""A thread that processes what it fetched keeps others from being fetched no longer than this."""

# -- Services look for garbage rarely (`supervision/garbage.py`).

KEPT_BETWEEN_LOOKS: Final = 10_000
"""So many more objects are made than dropped between two looks for rings of them."""
