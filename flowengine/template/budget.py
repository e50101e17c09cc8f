"""How much one rendering may make. It only counts, and knows nothing of templates."""

from __future__ import annotations

from flowengine.template.errors import TemplateTooLargeError

WORK_FACTOR = 4
WHOLE_VALUE_FACTOR = 16


class Budget:
    """What is left to one rendering of one config.

    `max_chars` bounds the text that comes out, over all templated strings of the config together.
    Intermediate values (the input of a filter, both sides of `~`) may take WORK_FACTOR times as much. So may
    the items that a filter walks, each by what it costs.
    Values that are passed on whole may take WHOLE_VALUE_FACTOR times as much, counted as bytes of JSON. They
    cost nothing to pass on, because they already exist, but someone encodes them again later.
    """

    __slots__ = ("_max_chars", "_output", "_whole", "_work")

    def __init__(self, max_chars: int) -> None:
        self._max_chars = max_chars
        self._output = max_chars
        self._work = WORK_FACTOR * max_chars
        self._whole = WHOLE_VALUE_FACTOR * max_chars

    @property
    def work_left(self) -> int:
        """Characters of intermediate values that may still be made."""
        return self._work

    @property
    def whole_left(self) -> int:
        """Bytes of values that may still be passed on whole."""
        return self._whole

    def spend_output(self, size: int) -> None:
        """Take `size` characters of text that comes out. Raises TemplateTooLargeError."""
        self._output -= size
        if self._output < 0:
            raise TemplateTooLargeError(
                f"the rendered text is over the limit of {self._max_chars} characters a node "
                "(FLOWENGINE_MAX_RENDERED_CHARS): pass the value whole, as the one expression of a string"
            )

    def spend_work(self, size: int) -> None:
        """Take `size` characters of intermediate values, or so many characters' worth of work on items.

        Raises TemplateTooLargeError.
        """
        self._work -= size
        if self._work < 0:
            raise TemplateTooLargeError(
                f"the expressions make over {WORK_FACTOR * self._max_chars} characters of intermediate "
                f"values ({WORK_FACTOR} times max_rendered_chars): do this in a node of its own"
            )

    def spend_whole(self, size: int) -> None:
        """Take `size` bytes of a value that is passed on whole. Raises TemplateTooLargeError."""
        self._whole -= size
        if self._whole < 0:
            raise TemplateTooLargeError(
                f"the values passed on whole are over {WHOLE_VALUE_FACTOR * self._max_chars} bytes "
                f"({WHOLE_VALUE_FACTOR} times max_rendered_chars): read fewer or smaller ones"
            )
