"""Both services under Dramatiq's own command line, for those who run it already."""

from __future__ import annotations

import sys
from pathlib import Path

from tests.e2e.documents import add, workflow
from tests.support.rigs.stack_processes import Stack
from tests.support.servers.valkey import Valkey
from tests.support.waiting import wait_until

DRAMATIQ = str(Path(sys.executable).with_name("dramatiq"))


def test_both_services_run_under_dramatiqs_own_command_line() -> None:
    """`dramatiq flowengine.worker:setup` and its sister run a workflow and end when told to."""
    valkey = Valkey()
    with Stack(valkey, {}) as stack:
        valkey.start()
        services = [
            stack.launch(
                service, [DRAMATIQ, f"flowengine.{service}:setup", "--processes", "1", "--threads", "4"]
            )
            for service in ("orchestrator", "worker")
        ]
        stack.start_api()
        wait_until(stack.serves, within_s=60, what="a stack that serves")
        nodes = [add(f"n{at}", f"{{{{ n{at - 1}.result }}}}", 1, after=[f"n{at - 1}"]) for at in range(1, 20)]
        ended = stack.run(workflow(add("n0", 0, 1), *nodes), correlation_id="under-dramatiq")
        assert ended.results["n19"] == {"result": 20}
        wait_until(
            lambda: any(record.get("correlation_id") == "under-dramatiq" for record in services[1].records()),
            what="a line of the worker about the execution",
        )
        for process in services:
            process.terminate()
        assert [process.wait(20) for process in services] == [0, 0]
