"""What the own output streams of a process can show. Standard library only: every program uses it."""

from __future__ import annotations

import codecs
import io
import os
import sys

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Final

_SPELL_OUT: Final = "flowengine.spell_out"
_ASCII: Final = "flowengine_ascii"
"""ASCII under another name: click takes a stream in "ascii" for a mistake and writes UTF-8 to it."""


def write_any_character() -> None:
    """From now on, standard output and error spell out what their encoding lacks: `\\u2192` for an arrow.

    So JSON stays JSON of the same value. Without this, a result in another script would end the program.
    """
    codecs.register_error(_SPELL_OUT, _spell_out)
    codecs.register(_find_codec)
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            is_ascii = codecs.lookup(stream.encoding).name == "ascii"
            stream.reconfigure(encoding=_ASCII if is_ascii else None, errors=_SPELL_OUT)


def styles_wanted() -> bool:
    """Whether colours and other styles may be written (https://no-color.org)."""
    return not os.environ.get("NO_COLOR")


def _find_codec(name: str) -> codecs.CodecInfo | None:
    if name != _ASCII:
        return None
    found = codecs.lookup("ascii")
    return codecs.CodecInfo(
        found.encode,
        found.decode,
        streamreader=found.streamreader,
        streamwriter=found.streamwriter,
        incrementalencoder=found.incrementalencoder,
        incrementaldecoder=found.incrementaldecoder,
        name=_ASCII,
    )


def _spell_out(error: UnicodeError) -> tuple[str, int]:
    if not isinstance(error, UnicodeEncodeError):
        raise error
    text = error.object[error.start : error.end]
    units = text.encode("utf-16-be", "surrogatepass").hex()
    return "".join(f"\\u{units[at : at + 4]}" for at in range(0, len(units), 4)), error.end
