"""Writes the calendars of the repository from the library exchange-calendars.

Usage: tests/oracles/python tests/oracles/make_calendars.py
Writes services/core/src/calendar/data/<name>.csv, one file for each exchange. Run it when a newer version of the
library is pinned in requirements.txt; test_calendars.py says when the files are not those of the pinned version.
"""

from collections import Counter
from datetime import timedelta
from pathlib import Path

import exchange_calendars
import pandas

DATA = Path(__file__).resolve().parents[2] / "services/core/src/calendar/data"
FIRST, LAST = 1999, 2030
NAMES = (
    "XNYS XTSE BVMF XMEX CMES XLON XETR XPAR XAMS XBRU XMAD XMIL XSWX XSTO XCSE XHEL XOSL XTKS XHKG XSHG XTAI XSES XASX XNZE XBOM "
    "XJSE"
).split()


def library(name):
    """The library's calendar, as far as it is known; and the last year that is."""
    known = exchange_calendars.get_calendar(name).bound_max()
    last = LAST if known is None else min(LAST, known.year)
    try:
        return exchange_calendars.get_calendar(name, start=f"{FIRST}-01-01", end=f"{last}-12-31"), last
    except ValueError as error:
        # Some say in the message alone how far their holidays are recorded.
        last = int(str(error).split("recorded to the year ")[1].split(",")[0])
        return exchange_calendars.get_calendar(name, start=f"{FIRST}-01-01", end=f"{last}-12-31"), last


def text(at):
    """A time of day as the files write it."""
    return at.strftime("%H:%M:%S").removesuffix(":00")


def hours(calendar):
    """By date: the hours in the exchange's time, `09:30-16:00` or `09:00-11:30 12:30-15:00`."""
    found = {}
    columns = [calendar.schedule[name].dt.tz_convert(calendar.tz) for name in ("open", "break_start", "break_end", "close")]
    for date, opened, paused, resumed, closed in zip(calendar.schedule.index.date, *columns):
        # What opens at or after the time at which it closes opens on the day before; nothing else is known.
        before = text(opened) >= text(closed)
        assert closed.date() == date and opened.date() == date - timedelta(days=before), f"{date}: {opened} to {closed}"
        parts = [(opened, closed)] if pandas.isna(paused) else [(opened, paused), (resumed, closed)]
        found[date] = " ".join(f"{text(begin)}-{text(end)}" for begin, end in parts)
    return found


def usual(found):
    """Usual hours: (first day, hours) of each, and the days of the week that have any.

    They are those of most days; they change where from one month on most days have others.
    """
    counts = Counter(date.isoweekday() for date in found)
    weekdays = sorted(day for day, count in counts.items() if count > 0.1 * len(found))
    months = {}
    for date in found:
        months.setdefault((date.year, date.month), []).append(date)
    changes = []
    for days in months.values():
        most = Counter(found[date] for date in days).most_common(1)[0][0]
        if not changes:
            changes.append((days[0].replace(month=1, day=1), most))
        elif most != changes[-1][1]:
            begin = min(date for date in days if found[date] == most)
            # The change may lie at the end of the month before.
            while found[previous := before(found, begin)] == most:
                begin = previous
            changes.append((begin, most))
    return changes, weekdays


def before(found, date):
    """The session before a date."""
    return max(other for other in found if other < date)


def written(name):
    """The file of a calendar."""
    calendar, last = library(name)
    found = hours(calendar)
    changes, weekdays = usual(found)
    lines = [
        f"# {name} of exchange-calendars {exchange_calendars.__version__}; written by tests/oracles/make_calendars.py",
        f"zone,{calendar.tz.key}",
        f"known,{FIRST}-01-01,{last}-12-31",
    ]
    lines += [f"hours,{begin},{''.join(map(str, weekdays))},{usually}" for begin, usually in changes]
    specials = {}
    for date, own in found.items():
        usually = [others for begin, others in changes if begin <= date][-1] if date.isoweekday() in weekdays else None
        if own != usually:
            specials.setdefault(own, []).append(date)
    lines += [f"special,{own},{' '.join(map(str, dates))}" for own, dates in sorted(specials.items())]
    date = min(found).replace(year=FIRST, month=1, day=1)
    closed = {}
    while date.year <= last:
        if date.isoweekday() in weekdays and date not in found:
            closed.setdefault(date.year, []).append(f"{date:%m-%d}")
        date += timedelta(days=1)
    lines += [f"closed,{year},{' '.join(days)}" for year, days in closed.items()]
    return "\n".join(lines) + "\n"


if __name__ == "__main__":
    DATA.mkdir(parents=True, exist_ok=True)
    for name in NAMES:
        (DATA / f"{name}.csv").write_text(written(name))
        print(name, (DATA / f"{name}.csv").stat().st_size)
