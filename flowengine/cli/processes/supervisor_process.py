"""The program that keeps the processes of one service running. Standard library only."""

from __future__ import annotations

import sys

from flowengine.cli.output.streams import write_any_character
from flowengine.cli.output.supervisor_log import SupervisorLog
from flowengine.cli.processes.command_lines import parse_options
from flowengine.supervision.interrupts import Interrupts
from flowengine.supervision.supervisor import Service, Supervisor


def main() -> int:
    """Supervise until a signal asks to end; returns the exit code, 3 if a child cannot run at all."""
    write_any_character()
    separator = sys.argv.index("--")
    service, processes = sys.argv[1], int(sys.argv[2])
    options, child = parse_options(sys.argv[3:separator]), sys.argv[separator + 1 :]
    with Interrupts() as interrupts:
        supervisor = Supervisor(
            [Service(service, child)] * processes,
            interrupts=interrupts,
            grace_s=float(options["grace"]),
            report=SupervisorLog(service),
        )
        return 0 if supervisor.run() else 3


if __name__ == "__main__":
    sys.exit(main())
