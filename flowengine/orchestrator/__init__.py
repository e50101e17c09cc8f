"""The orchestrator's process: its actors, its timer loop, its sweep.

`dramatiq flowengine.orchestrator:setup` runs it under Dramatiq's own command line;
`flowengine orchestrator` is the same with supervision.
"""

from flowengine.orchestrator.process import DEFAULT_THREADS, run_process, setup

__all__ = ["DEFAULT_THREADS", "run_process", "setup"]
