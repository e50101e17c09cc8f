"""Processes of the benchmark: started in groups of their own, ended by id, measured through /proc.

Linux only, as the figures are.
"""

from __future__ import annotations

import ctypes
import os
import signal
import subprocess
from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from pathlib import Path

import msgspec

ROOT = Path(__file__).resolve().parents[2]
STOP_WITHIN_S = 10.0
_PR_SET_PDEATHSIG = 1


class Usage(msgspec.Struct, frozen=True):
    """What some processes take. Bytes; `cpu_s` since they started."""

    processes: int
    threads: int
    pss: int
    rss: int
    cpu_s: float


def _die_with_parent() -> None:
    ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGTERM)


def start(
    command: Sequence[str], environment: Mapping[str, str], *, pipes: bool = False, log: Path
) -> subprocess.Popen[str]:
    """Start a process that ends with this one; its errors go to the log file."""
    with log.open("a") as sink:
        return subprocess.Popen(
            command,
            env={**os.environ, "PYTHONPATH": str(ROOT), "PYTHONDONTWRITEBYTECODE": "", **environment},
            cwd=ROOT,
            stdin=subprocess.PIPE if pipes else subprocess.DEVNULL,
            stdout=subprocess.PIPE if pipes else sink,
            stderr=sink,
            text=True,
            start_new_session=True,
            preexec_fn=_die_with_parent,
        )


def stop(processes: Iterable[subprocess.Popen[str]]) -> None:
    """Ask them all to end, and make those end that do not."""
    running = [process for process in processes if process.poll() is None]
    members = [pid for process in running for pid in tree(process.pid)]
    for process in running:
        with suppress(ProcessLookupError):
            process.send_signal(signal.SIGTERM)
    for process in running:
        try:
            process.wait(STOP_WITHIN_S)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
        for pipe in (process.stdin, process.stdout):
            if pipe is not None:
                with suppress(OSError):
                    pipe.close()
    for pid in members:
        _kill_if_left(pid)


def _kill_if_left(pid: int) -> None:
    """Kill a child that outlived its parent. It still carries PYTHONPATH's marker of ours."""
    with suppress(OSError):
        if f"PYTHONPATH={ROOT}".encode() in Path(f"/proc/{pid}/environ").read_bytes():
            os.kill(pid, signal.SIGKILL)


def tree(pid: int) -> list[int]:
    """The process and all its descendants."""
    found = [pid]
    for current in found:
        for listed in Path(f"/proc/{current}/task").glob("*/children"):
            with suppress(OSError):
                found += [int(child) for child in listed.read_text().split()]
    return found


def usage(pids: Iterable[int]) -> Usage:
    """What these processes take now; one that has just ended counts as nothing."""
    processes = threads = pss = rss = 0
    cpu_ns = 0
    for pid in pids:
        with suppress(OSError):
            memory = _smaps(pid)
            pss += memory["Pss"]
            rss += memory["Rss"]
            processes += 1
        for task in Path(f"/proc/{pid}/task").glob("*/schedstat"):
            with suppress(OSError):
                cpu_ns += int(task.read_text().split()[0])
                threads += 1
    return Usage(processes, threads, pss, rss, cpu_ns / 1e9)


def _smaps(pid: int) -> dict[str, int]:
    lines = Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines()[1:]
    return {name: int(rest.split()[0]) * 1024 for name, rest in (line.split(":", 1) for line in lines)}
