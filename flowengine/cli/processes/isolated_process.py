"""The program of a child process in which a worker runs isolated handlers, one at a time.

It has the worker's environment, and makes of it what handlers need: settings, secrets, the handlers. It
connects to no server by itself and takes no message.
"""

from __future__ import annotations

import faulthandler
import os
import sys
from pathlib import Path

from flowengine.cli.processes.lean_imports import import_lean
from flowengine.handlers.isolated.own_process import be_killed_first, end_with, take_socket


def main() -> int:
    """Serve the worker at standard input, whose process id is the first argument; returns the exit code."""
    sock = take_socket()
    end_with(int(sys.argv[1]))
    be_killed_first()
    faulthandler.enable()  # where a segmentation fault came from is in the worker's log
    import_lean("structlog")

    import structlog

    from flowengine.handlers.handler_settings import load_handler_settings
    from flowengine.handlers.http.network.forbidden_target import own_server
    from flowengine.handlers.http.network.trusted_authorities import trusted_authorities
    from flowengine.handlers.invoking.invoker import Invoker
    from flowengine.handlers.isolated.child_side import ChildSide
    from flowengine.handlers.loading import load_registry
    from flowengine.handlers.secrets.own_credentials import own_credentials
    from flowengine.handlers.secrets.redaction import Secrets
    from flowengine.observability import configure_logs, log_uncaught_errors, redact_prints, set_redactor
    from flowengine.settings import environment, load_settings

    dotenv = Path(".env")
    environ, settings = environment(os.environ, dotenv), load_settings(os.environ, dotenv)
    secrets = Secrets(environ, own=own_credentials(settings))
    set_redactor(secrets.redact)
    configure_logs("worker", level=settings.log_level, log_format=settings.log_format)
    log_uncaught_errors()
    redact_prints()
    registry = load_registry(settings.handlers)
    invoker = Invoker(
        egress=settings.egress,
        settings=load_handler_settings(registry, settings, environ),
        forbidden=own_server(settings.redis_url),
        trust=trusted_authorities(settings.ca_file, environ),
        redact=secrets.redact,
    )
    ChildSide(
        sock,
        registry,
        invoker,
        secrets,
        environment=environ.get,
        logger=lambda handler: structlog.stdlib.get_logger("flowengine.handler", handler=handler),
        max_result_bytes=settings.limits.max_result_bytes,
    ).serve()
    invoker.close()
    return 0


if __name__ == "__main__":
    sys.exit(main())
