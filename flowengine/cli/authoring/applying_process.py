"""The program that applies workflows as they are saved, started and watched by `flowengine dev`.

It finds the stack by FLOWENGINE_URL and FLOWENGINE_KEY, as all commands do. Its arguments are files and
folders.
"""

from __future__ import annotations

import sys
from pathlib import Path

import httpx

from flowengine.cli.output.streams import write_any_character
from flowengine.cli.processes.command_lines import APPLYING
from flowengine.plaintext import plain_text
from flowengine.supervision.child_shutdown import FATAL_EXIT, stop_on_signal, take_lifeline


class MarkedTransport(httpx.HTTPTransport):
    """Its requests carry a correlation id that tells them from those of a person."""

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        """Send it."""
        request.headers["X-Correlation-Id"] = APPLYING
        return super().handle_request(request)


def main() -> int:
    """Apply until told to stop; returns the exit code."""
    write_any_character()
    stop = stop_on_signal(take_lifeline())

    from flowengine.cli.authoring.folder_applier import FolderApplier
    from flowengine.cli.authoring.watched_files import POLL_S
    from flowengine.client import Client
    from flowengine.errors import SettingsError

    try:
        client = Client(transport=MarkedTransport())
    except SettingsError as error:
        print(plain_text(f"error: {error}"), flush=True)  # noqa: T201 - what this program prints is shown
        return FATAL_EXIT
    with client:
        applier = FolderApplier([Path(name) for name in sys.argv[1:]], client, _say)
        while not stop.is_set():
            applier.look()
            stop.wait(POLL_S)
    return 0


def _say(line: str) -> None:
    print(plain_text(line), flush=True)  # noqa: T201 - what this program prints is shown


if __name__ == "__main__":
    sys.exit(main())
