"""What a process says of itself to those who operate the service. Pure data."""

from __future__ import annotations

import msgspec


class ProcessNote(msgspec.Struct, frozen=True, kw_only=True):
    """`busy`: threads that process something. `async_running`: nodes that run without a thread, of which
    `concurrency` may at once. `stopping`: it takes nothing new. `started_at`: milliseconds since the
    epoch."""

    service: str
    host: str
    pid: int
    version: str
    started_at: int
    threads: int
    busy: int
    stopping: bool
    concurrency: int = 0
    async_running: int = 0


encode_note = msgspec.json.Encoder().encode
decode_note = msgspec.json.Decoder(ProcessNote).decode
