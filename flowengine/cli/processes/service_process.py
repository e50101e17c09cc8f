"""The program of one orchestrator or worker process, started and watched by a supervisor."""

from __future__ import annotations

import sys
import time
from collections.abc import Mapping
from functools import partial
from typing import Literal

from flowengine.cli.output.streams import write_any_character
from flowengine.cli.processes.command_lines import parse_options
from flowengine.cli.processes.lean_imports import import_lean
from flowengine.plaintext import plain_text
from flowengine.supervision.child_shutdown import (
    ENDS_AFTER_GRACE_S,
    FATAL_EXIT,
    announce_draining,
    end_within,
    stop_on_signal,
    take_lifeline,
)
from flowengine.supervision.open_files import allow_files


def main() -> int:
    """Run the service that the command line names; returns the exit code."""
    write_any_character()
    return run_service(sys.argv[1], parse_options(sys.argv[2:]))


def run_service(service: str, options: Mapping[str, str]) -> int:
    """Run until told to stop; returns the exit code, FATAL_EXIT if starting again would not help."""
    lifeline = take_lifeline()  # before anything that could read standard input
    import_lean("msgspec", "structlog", "redis", *(["httpx"] if service == "worker" else []))

    import msgspec

    from flowengine.bootstrap import read_settings
    from flowengine.cli.processes.redis_access import check_access
    from flowengine.errors import SettingsError, UnfitServerError
    from flowengine.observability import configure_logs, log_uncaught_errors, redact_prints
    from flowengine.supervision.allocator import use_one_heap

    use_one_heap()
    try:
        settings = read_settings()
        if "grace" in options:
            settings = msgspec.structs.replace(settings, grace_s=float(options["grace"]))
        if "concurrency" in options:
            settings = msgspec.structs.replace(settings, concurrency=int(options["concurrency"]))
        if "metrics-port" in options:
            settings = msgspec.structs.replace(settings, metrics_port=int(options["metrics-port"]))
        if "throwaway" in options:
            settings = msgspec.structs.replace(settings, throwaway_server=True)
        configure_logs(service, level=settings.log_level, log_format=settings.log_format)
        log_uncaught_errors()
        redact_prints()
        if service == "orchestrator":
            from flowengine.orchestrator import DEFAULT_THREADS, run_process
        else:
            from flowengine.worker import DEFAULT_THREADS, run_process
        threads = int(options.get("threads", DEFAULT_THREADS))
        allow_files(threads, settings.concurrency if service == "worker" else 0)
        role: Literal["orchestrator", "worker"] = "orchestrator" if service == "orchestrator" else "worker"
        check_access(settings, role, waits=True, threads=threads)
        # Until here SIGTERM ends this process at once, which is right: it has taken no work yet.
        stop = stop_on_signal(lifeline)
        queues = tuple(name for name in options.get("queues", "").split(",") if name) or None
        exit_code = run_process(
            settings,
            threads=threads,
            queues=queues,
            stop=stop,
            announce=partial(announce_draining, lifeline),
            owner=options.get("owner", ""),
        )
        end_within(stop.set_at + settings.grace_s + ENDS_AFTER_GRACE_S - time.monotonic(), exit_code)
        return exit_code
    except (SettingsError, UnfitServerError) as error:
        print(plain_text(f"error: {error}", keep_lines=True), file=sys.stderr)  # noqa: T201 - the log is not set up yet
        return FATAL_EXIT


if __name__ == "__main__":
    sys.exit(main())
