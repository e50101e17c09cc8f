"""The `flowengine` command. Importing this imports nothing else; each command loads what it needs."""

from __future__ import annotations

import sys


def main() -> None:
    """Run the command line and exit with its code. Ctrl-C ends any command with code 130 and one word."""
    try:
        from flowengine.cli.tool import run_tool

        sys.exit(run_tool())
    except KeyboardInterrupt:
        sys.stderr.write("interrupted\n")
        sys.exit(130)
