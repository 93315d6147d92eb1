"""How an arq cron job says when it is due, as a cron expression or in words.

arq's weekdays begin with Monday as 0, cron's with Sunday. A cron expression that names days of the month
and of the week means either; arq means both, so such a job has no expression of its own.
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta, tzinfo
from typing import TYPE_CHECKING

from arq.typing import WEEKDAYS

if TYPE_CHECKING:
    from arq.cron import CronJob

_RANGES = {"second": range(60), "minute": range(60), "hour": range(24), "month": range(1, 13)}
_DAYS = range(1, 32)
_WEEKDAYS = range(7)


def expression(job: CronJob) -> str:
    """Five fields, or six with the seconds first; words behind them where they don't say all."""
    fields = [
        _field(job.minute, _RANGES["minute"]),
        _field(job.hour, _RANGES["hour"]),
        _field(job.day, _DAYS),
        _field(job.month, _RANGES["month"]),
        _field(_as_cron_has_it(job.weekday), _WEEKDAYS),
    ]
    seconds = _field(job.second, _RANGES["second"])
    if "" in (seconds, *fields):
        return "never"
    if seconds != "0":
        fields.insert(0, seconds)
    both = " (both day and weekday)" if job.day is not None and job.weekday is not None else ""
    return " ".join(fields) + both


def zone_name(zone: tzinfo | None) -> str:
    """As the database of time zones has it, or the offset where it has no such name."""
    key = getattr(zone, "key", None)
    if isinstance(key, str):
        return key
    offset = (zone or UTC).utcoffset(datetime.now(UTC)) or timedelta()
    if not offset:
        return "UTC"
    hours, minutes = divmod(abs(int(offset.total_seconds())) // 60, 60)
    return f"UTC{'-' if offset < timedelta() else '+'}{hours:02}:{minutes:02}"


def _as_cron_has_it(weekday: object) -> object:
    if isinstance(weekday, str):
        weekday = WEEKDAYS.index(weekday.lower())
    if isinstance(weekday, int):
        return (weekday + 1) % 7
    if isinstance(weekday, set | list | tuple | frozenset):
        return {(day + 1) % 7 for day in weekday}
    return weekday


def _field(value: object, whole: range) -> str:
    """One field; empty where no moment matches."""
    if value is None:
        return "*"
    given = value if isinstance(value, set | list | tuple | frozenset) else (value,)
    chosen = sorted(number for number in set(given) if number in whole)
    if chosen == list(whole):
        return "*"
    step = chosen[1] - chosen[0] if len(chosen) > 2 else 1
    if step > 1 and chosen == list(whole[::step]):
        return f"*/{step}"
    spans: list[list[int]] = []
    for number in chosen:
        if spans and number == spans[-1][1] + 1:
            spans[-1][1] = number
        else:
            spans.append([number, number])
    return ",".join(_span(*span) for span in spans)


def _span(first: int, last: int) -> str:
    if first == last:
        return str(first)
    return f"{first},{last}" if last == first + 1 else f"{first}-{last}"
