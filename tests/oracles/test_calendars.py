"""Every session of every exchange from 1999 to 2030 beside the library exchange-calendars, to the second."""

import exchange_calendars
import numpy
import pandas
import pytest

from make_calendars import DATA, FIRST, NAMES, library

INTERVALS = [300, 1800, 3600]


@pytest.fixture(scope="module")
def ours(program):
    """By calendar: one row for each session, its day and figures in seconds since 1970."""
    rows = {}
    for line in program("sessions").decode().splitlines():
        name, day, *figures = line.split(" ")
        rows.setdefault(name, ([], []))
        rows[name][0].append(day)
        rows[name][1].append(figures)
    return {name: (pandas.to_datetime(days), numpy.array(figures, dtype=numpy.int64)) for name, (days, figures) in rows.items()}


def test_names(ours):
    """All exchanges are compared, and those of one file are one exchange for the library too."""
    assert set(ours) == {*NAMES, "XNAS"}
    assert exchange_calendars.resolve_alias("XNAS") in ("XNYS", "XNAS")


def test_files_are_of_the_pinned_version():
    """Run make_calendars.py after pinning another version."""
    for name in NAMES:
        head = (DATA / f"{name}.csv").read_text().split("\n")[0]
        assert f"{name} of exchange-calendars {exchange_calendars.__version__};" in head


@pytest.mark.parametrize("name", [*NAMES, "XNAS"])
def test_sessions(ours, name):
    """Days, openings, pauses and closes are those of the library, and so is the number of bars in each session."""
    calendar, last = library(name)
    days, figures = ours[name]
    figures = figures[days.year <= last]
    days = days[days.year <= last]
    schedule = calendar.schedule.loc[f"{FIRST}-01-01" : f"{last}-12-31"]
    assert len(schedule) > 240 * (last - FIRST)
    pandas.testing.assert_index_equal(days, schedule.index, check_names=False, exact=False, check_freq=False)
    seconds = lambda column: ((schedule[column] - pandas.Timestamp(0, tz="UTC")) // pandas.Timedelta(seconds=1)).fillna(0).astype("int64")
    wanted = numpy.column_stack([seconds(column) for column in ("open", "break_start", "break_end", "close")])
    numpy.testing.assert_array_equal(figures[:, :4], wanted)
    for column, interval in enumerate(INTERVALS, start=4):
        numpy.testing.assert_array_equal(figures[:, column], promised(wanted, interval), err_msg=f"bars of {interval} s")


def promised(sessions, interval):
    """Bars of the grid of UTC in which the market is open, each counted for the first session that it touches."""
    opened, paused, resumed, closed = sessions.T
    first, last = lambda at: at // interval, lambda at: -(-at // interval)
    half_day = numpy.where(paused == 0, closed, paused)
    newest = numpy.concatenate([[0], last(closed)[:-1]])
    morning = last(half_day) - numpy.maximum(first(opened), newest)
    afternoon = numpy.where(paused == 0, 0, last(closed) - numpy.maximum(first(resumed), last(half_day)))
    return morning + afternoon
