"""How many files a process may open: raised where its threads need more, and no further.

Each connection is a file. The usual soft limit is 1,024, far below the hard one, which a process may raise it
to. Not all of it is taken: the limit is inherited by what handlers start, and old programs cannot deal with
files whose numbers are above 1,023 (select(2)).
"""

from __future__ import annotations

import resource
from typing import Final

from flowengine.errors import SettingsError

FILES_PER_THREAD: Final = 3
"""Two connections to Redis, one of them for moments, and one to a service. A node that needs no thread may
have a connection to a service; those to Redis are shared by all of them."""
OTHER_FILES: Final = 128
"""The process's own, and connections that are kept open for the next call."""


def allow_files(threads: int, concurrency: int = 0) -> None:
    """Let this process open as many files as so many threads need, and so many nodes that need none.

    Raises SettingsError if it may not.
    """
    needed = FILES_PER_THREAD * threads + concurrency + OTHER_FILES
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft == resource.RLIM_INFINITY or soft >= needed:
        return
    try:
        if hard != resource.RLIM_INFINITY and hard < needed:
            raise ValueError("above the hard limit")
        resource.setrlimit(resource.RLIMIT_NOFILE, (needed, hard))
    except (OSError, ValueError) as error:
        raise SettingsError(_refusal(threads, concurrency, needed, hard)) from error


def _refusal(threads: int, concurrency: int, needed: int, hard: int) -> str:
    left = hard - OTHER_FILES
    for_threads = FILES_PER_THREAD * threads
    if concurrency > for_threads:
        option, fitting = "--concurrency", left - for_threads
        whose = f"{concurrency} nodes at once beside {threads} threads"
    else:
        option, fitting = "--threads", (left - concurrency) // FILES_PER_THREAD
        whose = f"{threads} threads"
    lower = f"lower {option} to {fitting} and run more --processes, or " if fitting > 0 else ""
    return (
        f"{option}: {whose} may need {needed} open files, and this process may have {hard}: "
        f"{lower}raise that limit (ulimit -Hn, LimitNOFILE= in systemd, `ulimits` of a container)"
    )
