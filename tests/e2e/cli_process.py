"""The `flowengine` command as a user runs it: own process, own folder, own temporary folder."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

from tests.support.waiting import wait_until

STARTED_S = 40.0


class CliProcess:
    """One running command. Its output goes to files in its folder."""

    def __init__(self, folder: Path, *arguments: str, **settings: str) -> None:
        self.folder = folder
        self.temporary = folder / "tmp"
        self.temporary.mkdir(exist_ok=True)
        environment = {
            name: value
            for name, value in os.environ.items()
            if name != "REDIS_URL" and not name.startswith(("FLOWENGINE_", "LLM_"))
        }
        environment |= {"TMPDIR": str(self.temporary), **settings}
        with (folder / "stdout").open("wb") as stdout, (folder / "stderr").open("wb") as stderr:
            self.process = subprocess.Popen(
                [sys.executable, "-P", "-m", "flowengine", *arguments],
                cwd=folder,
                env=environment,
                stdin=subprocess.DEVNULL,
                stdout=stdout,
                stderr=stderr,
            )

    @property
    def stdout(self) -> str:
        """What it has printed so far."""
        return (self.folder / "stdout").read_text()

    @property
    def stderr(self) -> str:
        """What it has printed to standard error so far."""
        return (self.folder / "stderr").read_text()

    def wait(self, *, within_s: float = 60.0) -> int:
        """Its exit code. Kills it when it does not end in time."""
        try:
            return self.process.wait(timeout=within_s)
        except subprocess.TimeoutExpired:
            self.process.kill()
            raise

    def close(self) -> None:
        """Kill it, whatever it does; nothing of it may be left after that."""
        self.process.kill()
        self.process.wait()
        self.await_nothing_left()

    def interrupt(self) -> None:
        """What Ctrl-C does."""
        self.process.send_signal(signal.SIGINT)

    def await_output(self, text: str) -> None:
        """Return once it has printed `text`."""
        wait_until(
            lambda: text in self.stdout or self.process.poll() is not None,
            within_s=STARTED_S,
            what=f"printing {text!r}",
        )
        assert text in self.stdout, self.stderr

    def await_nothing_left(self) -> None:
        """Return once none of its processes runs and its temporary folder is empty."""
        wait_until(lambda: not self.processes(), what="the end of all processes", within_s=20)
        wait_until(lambda: not os.listdir(self.temporary), what="an empty temporary folder", within_s=20)

    def processes(self) -> list[int]:
        """Every process that carries this command's temporary folder in its environment."""
        mark = f"TMPDIR={self.temporary}".encode()
        found = []
        for entry in Path("/proc").iterdir():
            try:
                if entry.name.isdigit() and mark in (entry / "environ").read_bytes().split(b"\0"):
                    found.append(int(entry.name))
            except OSError:
                continue
        return found
