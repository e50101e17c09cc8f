"""The program of the API process."""

from __future__ import annotations

import sys
import threading
from typing import TYPE_CHECKING, Final

from flowengine.cli.output.streams import write_any_character
from flowengine.cli.processes.command_lines import parse_options
from flowengine.cli.processes.lean_imports import as_if_not_installed, import_lean
from flowengine.plaintext import plain_text
from flowengine.supervision.child_shutdown import FATAL_EXIT, end_with_supervisor

if TYPE_CHECKING:
    from flowengine.api.ports import Access

TESTS_SCHEMA: Final = "tests.schema.json"

_LITESTARS: Final = ("opentelemetry", "pydantic")
"""Litestar imports its plugins for these where they are installed. Nothing here uses them."""


def main() -> int:
    """Serve until told to stop; returns the exit code: 3 or FATAL_EXIT for a wrong setting."""
    write_any_character()
    options = parse_options(sys.argv[1:])
    supervised = "supervised" in options
    if supervised:
        end_with_supervisor()

    import_lean("structlog", "redis")

    import msgspec

    from flowengine.api.access.host_rules import check_binding, needs_keys, with_public_url
    from flowengine.api.app import create_app
    from flowengine.api.server import listen, serve
    from flowengine.bootstrap import (
        build_access,
        build_executions,
        build_state,
        hide_secrets,
        read_environment,
        read_settings,
        start_tracing,
    )
    from flowengine.cli.processes.redis_access import check_access
    from flowengine.errors import FlowEngineError
    from flowengine.handlers.loading import load_registry
    from flowengine.observability import configure_logs
    from flowengine.supervision.allocator import give_large_blocks_back, use_one_heap
    from flowengine.supervision.garbage import collect_rarely

    use_one_heap()
    give_large_blocks_back()
    try:
        settings = read_settings()
        settings = msgspec.structs.replace(settings, api_host=options.get("host", settings.api_host))
        if "insecure" in options:
            settings = msgspec.structs.replace(settings, insecure=True)
        if "throwaway" in options:
            settings = msgspec.structs.replace(settings, throwaway_server=True)
        configure_logs("api", level=settings.log_level, log_format=settings.log_format)
        hide_secrets(settings, read_environment())
        threads = threading.active_count()
        registry = load_registry(settings.handlers)
        check_access(settings, "api")
        access = build_access(settings)
        host, insecure = settings.api_host, settings.insecure
        has_keys = needs_keys(settings, host, insecure=insecure) and _may_have_keys(access)
        check_binding(settings, host, insecure=insecure, has_keys=has_keys)
        start_tracing(settings, "api", build_state(settings))
        port = int(options["port"]) if "port" in options else settings.api_port
        listener = listen(host, port)
        settings = with_public_url(settings, listener.getsockname()[1])
        executions = build_executions(settings, registry)
        with as_if_not_installed(*unneeded(threads)):
            app = create_app(executions, registry, settings, access, {TESTS_SCHEMA: _schema_of_tests})
        collect_rarely()
        serve(app, settings, has_keys=has_keys, listener=listener)
    except FlowEngineError as error:
        print(plain_text(f"error: {error}", keep_lines=True), file=sys.stderr)  # noqa: T201 - the log may not be set up yet
        return FATAL_EXIT if supervised else 3
    return 0


def unneeded(threads: int) -> tuple[str, ...]:
    """What can be hidden while there are no more than so many threads.

    A thread that a module of handlers has started may import it, and would be told that it is not installed.
    """
    return _LITESTARS if threading.active_count() <= threads else ()


def _schema_of_tests() -> object:
    """Imported when an editor asks for it."""
    from flowengine.testing.cases.case_file import schema

    return schema()


def _may_have_keys(access: Access) -> bool:
    """Whether Redis holds keys. If it does not answer it may: then the API asks for keys from the start."""
    from flowengine.errors import StoreUnavailableError

    try:
        return access.keys({}).any_made
    except StoreUnavailableError:
        return True


if __name__ == "__main__":
    sys.exit(main())
