"""The worker's process: one actor, the handlers, the watchdog over their deadlines.

`dramatiq flowengine.worker:setup` runs it under Dramatiq's own command line; `flowengine worker` is
the same with supervision.
"""

from flowengine.worker.process import DEFAULT_THREADS, run_process, setup

__all__ = ["DEFAULT_THREADS", "run_process", "setup"]
