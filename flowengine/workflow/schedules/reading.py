"""Reads a document's `schedules` (LANGUAGE section 9).

Nobody is there when a schedule starts an execution: what it gives is checked against the inputs of the
workflow when the document is accepted, as far as it holds no templates.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final, TypeVar

import msgspec

from flowengine.jsonvalue import JsonValue, encode, pointer_to
from flowengine.template.json_values import type_name
from flowengine.workflow.checking.object_fields import JsonObject, read_list, refuse_unknown_fields
from flowengine.workflow.checking.problem_report import Report
from flowengine.workflow.document import NODE_ID
from flowengine.workflow.inputs.declared import Declared
from flowengine.workflow.inputs.template_work import TemplateWork
from flowengine.workflow.problems import did_you_mean, quoted
from flowengine.workflow.schedules.declared import (
    CATCH_UP,
    DEFAULT_ID,
    FIELD,
    MACROS,
    MAX_CRON_CHARS,
    MAX_EVERY_S,
    MAX_ID_CHARS,
    MAX_SCHEDULES,
    MIN_EVERY_S,
    NO_INPUTS,
    OVERLAP,
    Overlap,
    Schedule,
)
from flowengine.workflow.schedules.given_inputs import GivenInputs
from flowengine.workflow.schedules.times import BadTimesError, check_cron, zone

FIELDS: Final = (
    "id",
    "cron",
    "every_seconds",
    "timezone",
    "inputs",
    "catch_up",
    "overlap",
    "paused",
)
SPELLINGS: Final = {
    "name": "id",
    "expression": "cron",
    "schedule": "cron",
    "interval": "every_seconds",
    "every": "every_seconds",
    "tz": "timezone",
    "time_zone": "timezone",
    "catchup": "catch_up",
    "with": "inputs",
    "params": "inputs",
}
EXAMPLE: Final = "as in {cron: '0 2 * * *', timezone: Europe/Berlin}"

Word = TypeVar("Word", bound=str)


def read_schedules(
    document: JsonObject, inputs: Declared, report: Report, work: TemplateWork, *, limited: bool
) -> tuple[Schedule, ...]:
    """The schedules of a document. Whatever is wrong is reported. `limited`: it has a `concurrency`, which
    decides what runs at once."""
    said = read_list(document, FIELD, "", report)
    if len(said) > MAX_SCHEDULES:
        report.add("out_of_range", f"/{FIELD}", f"at most {MAX_SCHEDULES} schedules, these are {len(said)}")
        return ()
    reading = _Reading(GivenInputs(inputs, report, work), report, limited=limited)
    return tuple([reading.read(one, pointer_to(f"/{FIELD}", at)) for at, one in enumerate(said)])


class _Reading:
    def __init__(self, inputs: GivenInputs, report: Report, *, limited: bool) -> None:
        self._inputs = inputs
        self._report = report
        self._limited = limited
        self._ids: dict[str, str] = {}

    def read(self, said: JsonValue, pointer: str) -> Schedule:
        """One schedule; what is wrong of it counts as not given."""
        if not isinstance(said, dict):
            self._report.add("wrong_type", pointer, f"a schedule is an object, {EXAMPLE}: {type_name(said)}")
            return Schedule()
        refuse_unknown_fields(said, FIELDS, pointer, self._report, SPELLINGS)
        cron, every_s = self._timing(said, pointer)
        return Schedule(
            id=self._id(said, pointer),
            cron=cron,
            every_s=every_s,
            timezone=self._zone(said, pointer),
            inputs=self._given(said, pointer),
            catch_up=self._word(said, "catch_up", CATCH_UP, "latest", pointer),
            overlap=self._overlap(said, pointer),
            paused=self._flag(said, "paused", pointer),
        )

    def _overlap(self, said: JsonObject, pointer: str) -> Overlap:
        found = self._word(said, "overlap", OVERLAP, "skip", pointer)
        if not self._limited:
            return found
        if said.get("overlap") is not None:
            self._report.add(
                "not_together",
                pointer_to(pointer, "overlap"),
                "'overlap' and the workflow's 'concurrency' both say what may run at once: take one out",
            )
        return "allow"

    def _id(self, said: JsonObject, pointer: str) -> str:
        place, found = pointer_to(pointer, "id"), said.get("id", DEFAULT_ID)
        if not isinstance(found, str):
            self._report.add("wrong_type", place, f"'id' must be text, it is {type_name(found)}")
        elif NODE_ID.fullmatch(found) is None or len(found) > MAX_ID_CHARS:
            self._report.add(
                "invalid_id",
                place,
                f"{quoted(found)} is no id: letters, digits, _ and -, beginning with a letter or _, at most "
                f"{MAX_ID_CHARS}",
            )
        elif found in self._ids:
            without = "" if "id" in said else ", which one without an id has"
            message = f"{quoted(found)}{without}, is the id of {self._ids[found]} too: each has its own"
            self._report.add("duplicate_id", place if "id" in said else pointer, message)
        else:
            self._ids[found] = pointer
            return found
        return DEFAULT_ID

    def _timing(self, said: JsonObject, pointer: str) -> tuple[str, int]:
        cron, every = said.get("cron"), said.get("every_seconds")
        if cron is None and every is None:
            message = f"a schedule has a 'cron' or 'every_seconds', {EXAMPLE} or {{every_seconds: 600}}"
            self._report.add("missing_field", pointer, message)
        elif cron is not None and every is not None:
            message = "'cron' and 'every_seconds' both say when: take one out"
            self._report.add("not_together", pointer_to(pointer, "every_seconds"), message)
        elif cron is not None:
            return self._cron(cron, pointer_to(pointer, "cron")), 0
        else:
            return "", self._every(every, pointer_to(pointer, "every_seconds"))
        return "", MIN_EVERY_S

    def _cron(self, cron: JsonValue, place: str) -> str:
        if not isinstance(cron, str):
            self._report.add("wrong_type", place, f"'cron' must be text, {EXAMPLE}: {type_name(cron)}")
            return ""
        if len(cron) > MAX_CRON_CHARS:
            message = f"'cron' has at most {MAX_CRON_CHARS} characters, this one has {len(cron)}"
            self._report.add("out_of_range", place, message)
            return ""
        written = " ".join(cron.split())
        word = written.lower()
        if word.startswith("@"):
            if word in MACROS:
                return word
            nearest = did_you_mean(self._report.nearest(word, tuple(MACROS))) or "."
            message = f"there is no {quoted(written)}{nearest} There are: {', '.join(MACROS)}"
            self._report.add("invalid_cron", place, message)
            return ""
        try:
            check_cron(written)
        except BadTimesError as error:
            self._report.add("invalid_cron", place, f"{quoted(cron)} names no times: {error}")
            return ""
        return written

    def _every(self, every: JsonValue, place: str) -> int:
        if not isinstance(every, int) or isinstance(every, bool):
            message = f"'every_seconds' must be a whole number, it is {type_name(every)}"
            self._report.add("wrong_type", place, message)
        elif not MIN_EVERY_S <= every <= MAX_EVERY_S:
            message = f"'every_seconds' is {MIN_EVERY_S} to {MAX_EVERY_S}, not {every}"
            self._report.add("out_of_range", place, message)
        else:
            return every
        return MIN_EVERY_S

    def _zone(self, said: JsonObject, pointer: str) -> str:
        place, found = pointer_to(pointer, "timezone"), said.get("timezone")
        if found is None:
            return "UTC"
        if not isinstance(found, str):
            self._report.add("wrong_type", place, f"'timezone' must be text, it is {type_name(found)}")
            return "UTC"
        if said.get("every_seconds") is not None:
            message = "'timezone' has no meaning with 'every_seconds', which counts seconds: take it out"
            self._report.add("not_together", place, message)
            return "UTC"
        try:
            zone(found)
        except LookupError:
            message = f"there is no time zone {quoted(found)} in the tz database: write one as Europe/Berlin"
            self._report.add("invalid_timezone", place, message)
            return "UTC"
        return found

    def _given(self, said: JsonObject, pointer: str) -> msgspec.Raw:
        place, found = pointer_to(pointer, "inputs"), said.get("inputs")
        if found is not None and not isinstance(found, dict):
            self._report.add("wrong_type", place, f"'inputs' must be an object, it is {type_name(found)}")
            return NO_INPUTS
        self._inputs.check(found or {}, place if found is not None else pointer)
        return msgspec.Raw(encode(found)) if found else NO_INPUTS

    def _word(
        self, said: JsonObject, field: str, words: tuple[Word, ...], default: Word, pointer: str
    ) -> Word:
        value, place = said.get(field), pointer_to(pointer, field)
        if value is None:
            return default
        listed = _or(words)
        if not isinstance(value, str):
            self._report.add("wrong_type", place, f"'{field}' is {listed}, this is {type_name(value)}")
            return default
        for word in words:
            if value == word:
                return word
        nearest = did_you_mean(self._report.nearest(value, words)) or ""
        self._report.add("invalid_value", place, f"'{field}' is {listed}, not {quoted(value)}{nearest}")
        return default

    def _flag(self, said: JsonObject, field: str, pointer: str) -> bool:
        value = said.get(field)
        if value is None or isinstance(value, bool):
            return bool(value)
        message = f"'{field}' is true or false, this is {type_name(value)}"
        self._report.add("wrong_type", pointer_to(pointer, field), message)
        return False


def _or(words: Iterable[str]) -> str:
    return " or ".join(words)
