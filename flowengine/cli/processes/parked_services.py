"""The services of `flowengine run`, parked: they have their libraries and wait while the file is checked."""

from __future__ import annotations

import contextlib
from typing import Self

from flowengine.cli.processes.lean_imports import import_lean
from flowengine.supervision.parked_process import CAN_PARK, ParkedProcess


class ParkedServices:
    """A context manager: those that have not been started when it is left are dismissed.

    Entered before the tool opens anything. What handlers' modules do at their import, they do later, in each
    process for itself. `owner`: the only execution that they will work for, by queues of its own.
    """

    def __init__(self, *names: str, grace_s: float, owner: str = "") -> None:
        self._names = names
        self._options = {"grace": str(grace_s), "owner": owner}
        self._parked: dict[str, ParkedProcess] = {}

    def __enter__(self) -> Self:
        if CAN_PARK:
            _import_libraries()
            with contextlib.suppress(
                OSError
            ):  # then they are started as programs, or cannot be started at all
                for name in self._names:
                    self._parked[name] = self._park(name)
        return self

    def __exit__(self, *exc_info: object) -> None:
        for process in self._parked.values():
            process.dismiss()

    def get(self, name: str) -> ParkedProcess | None:
        """The parked process of that service, if there is one."""
        return self._parked.get(name)

    def _park(self, name: str) -> ParkedProcess:
        from flowengine.cli.processes.service_process import run_service

        return ParkedProcess(lambda: run_service(name, self._options))


def _import_libraries() -> None:
    """What the tool and both services need: once for all three."""
    import_lean("structlog", "redis")
    import flowengine.bootstrap
    import flowengine.handlers.all_builtin
    import flowengine.observability
    import flowengine.orchestrator
    import flowengine.worker
    import flowengine.workflow.validation  # noqa: F401 - so that the copies have them
