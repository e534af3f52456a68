"""Lengths of time and moments as people type them: `90d`, `12h`, `2026-11-24`."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta

from ...errors import BadRequest

UNITS = {"s": "seconds", "m": "minutes", "h": "hours", "d": "days", "w": "weeks"}
_LENGTH = re.compile(r"(?P<number>\d{1,6}(\.\d{1,6})?)(?P<unit>[smhdw])")


def length(text: str) -> timedelta:
    """A length of time: a number and s, m, h, d or w. Raises BadRequest."""
    match = _LENGTH.fullmatch(text.strip())
    if match is None:
        raise BadRequest(f"{text!r} is no length of time: write a number and one of {', '.join(UNITS)}, as in 90d.")
    return timedelta(**{UNITS[match["unit"]]: float(match["number"])})


def moment(text: str, now: datetime) -> datetime:
    """A moment: a length of time before `now`, or a date or time of ISO 8601 (UTC where no zone is given).

    Raises BadRequest."""
    if _LENGTH.fullmatch(text.strip()):
        try:
            return now - length(text)
        except OverflowError:
            raise BadRequest(f"{text!r} is before the calendar begins.") from None
    try:
        given = datetime.fromisoformat(text.strip())
    except ValueError:
        raise BadRequest(f"{text!r} is no moment: write 7d for seven days ago, or a date such as 2026-11-24.") from None
    return given if given.tzinfo else given.replace(tzinfo=UTC)
