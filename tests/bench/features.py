"""Features as a notebook has them: the window is computed anew at each bar, by NumPy and SciPy.

Arguments: a file of daily bars, and how many are not timed. For each line on standard input one pass over the bars; it answers with one
line of JSON: for each of `mmd` (squared discrepancy, ST-34 to ST-37) and `tactical` (newest row of the 60x7 matrix, TA-8, and the
average true range) the values of each warm bar and the nanoseconds that each took.
"""

import json
import sys
import time

import numpy
from scipy.spatial.distance import cdist, pdist

RECENT, REFERENCE, VOLUMES = 48, 480, 20
LIFE, BODIES = 60, 20
# Averages without end are cut where nothing is left of their weights.
LONG = 512
VOLUME_WEIGHTS = 2 / 21 * (19 / 21) ** numpy.arange(LONG)[::-1]
RANGE_WEIGHTS = 1 / 14 * (13 / 14) ** numpy.arange(LONG - 1)[::-1]


def discrepancy(bars):
    """Of the newest 48 vectors from the 480 before; `bars` are what these need: 547."""
    _, high, low, close, volume = bars
    before, volume = close[:-1], numpy.maximum(volume, 1e-9)
    mean = numpy.convolve(volume, numpy.full(VOLUMES, 1 / VOLUMES), mode="valid")
    vectors = numpy.column_stack([numpy.log(close[1:] / before), (high - low)[1:] / before, numpy.zeros(len(before))])
    vectors = vectors[VOLUMES - 2 :]
    vectors[:, 2] = numpy.log(volume[VOLUMES - 1 :] / mean)
    past = vectors[:REFERENCE]
    middle = numpy.median(past, axis=0)
    scale = numpy.maximum(1.4826 * numpy.median(numpy.abs(past - middle), axis=0), 1e-8)
    vectors = (vectors - middle) / scale
    past, recent = vectors[:REFERENCE], vectors[REFERENCE:]
    pairs = pdist(past, "sqeuclidean")
    gamma = 1 / (2 * max(numpy.median(pairs), 1e-12))
    kernel = lambda distances: numpy.exp(-gamma * distances).mean()
    return kernel(pdist(recent, "sqeuclidean")) + kernel(pairs) - 2 * kernel(cdist(recent, past, "sqeuclidean"))


def row(bars):
    """The newest row of the tactical matrix and the average true range."""
    opened, high, low, close, volume = bars
    ranges = numpy.maximum(high[1:], close[:-1]) - numpy.minimum(low[1:], close[:-1])
    ratio = max(volume[-1] / (VOLUME_WEIGHTS @ volume), 1.0)
    # Position i of what follows is a gap that the bar 60 - i bars ago would have completed; older ones are forgotten.
    opened, high, low, close = (prices[-LIFE - BODIES - 1 :] for prices in (opened, high, low, close))
    bodies = numpy.abs(close - opened)[:-1]
    wide = bodies[-LIFE - 1 :] * BODIES > 1.5 * numpy.convolve(bodies, numpy.ones(BODIES), mode="valid")
    first_high, first_low = high[-LIFE - 3 : -2], low[-LIFE - 3 : -2]
    last_high, last_low = high[-LIFE - 1 :], low[-LIFE - 1 :]
    up, down = wide & (last_low > first_high), wide & (last_high < first_low)
    gaps, filled = [], False
    for born in numpy.flatnonzero(up | down):
        rising = up[born]
        bottom, top = (first_high[born], last_low[born]) if rising else (last_high[born], first_low[born])
        hit = last_low[born + 1 :] <= bottom if rising else last_high[born + 1 :] >= top
        if not hit.any():
            gaps.append((rising, bottom, top, LIFE - born))
        elif hit.argmax() == len(hit) - 1:
            filled = True
    price = close[-1]
    level, age = 0.0, 0
    if gaps:
        _, age, level = min((abs(edge - price), age, edge) for _, bottom, top, age in gaps for edge in (bottom, top))
        level = min(max((level / price - 1) * 100, -10.0), 10.0) / 10
    momentum = min(max((price / close[-6] - 1) * 100, -10.0), 10.0)
    return [
        float(any(rising for rising, *_ in gaps)),
        float(any(not rising for rising, *_ in gaps)),
        float(level),
        float(age) / LIFE,
        float(filled),
        float(numpy.tanh(momentum / 5)),
        float(numpy.tanh(numpy.log(ratio))),
        float(RANGE_WEIGHTS @ ranges),
    ]


def timed(function, bars, length, warm_up):
    """A pass: at each warm bar `function` sees the newest `length` bars."""
    values, nanoseconds = [], []
    for newest in range(warm_up, bars.shape[1]):
        start = time.perf_counter_ns()
        value = function(bars[:, newest + 1 - length : newest + 1])
        nanoseconds.append(time.perf_counter_ns() - start)
        values.append(value)
    return {"values": values, "nanoseconds": nanoseconds}


def main():
    file, warm_up = sys.argv[1], int(sys.argv[2])
    bars = numpy.loadtxt(file, delimiter=",", skiprows=1, usecols=range(1, 6)).T
    bars = numpy.ascontiguousarray(bars)
    bars[:4] = numpy.rint(bars[:4] * 100)  # ticks
    for _ in sys.stdin:
        answer = {
            "mmd": timed(discrepancy, bars, RECENT + REFERENCE + VOLUMES - 1, warm_up),
            "tactical": timed(row, bars, LONG, warm_up),
        }
        print(json.dumps(answer), flush=True)


if __name__ == "__main__":
    main()
