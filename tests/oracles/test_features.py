"""Every feature of both matrices beside TA-Lib, pandas, scikit-learn, scipy and numpy: on random walks, on the real
daily bars of the repository, and on all real intraday bars where they are at hand beside the checkout."""

import csv
import json
import math
from pathlib import Path

import numpy
import pandas
import pytest
import talib
from scipy.spatial.distance import pdist
from sklearn.gaussian_process.kernels import RationalQuadratic
from sklearn.metrics.pairwise import rbf_kernel
from sklearn.neighbors import NearestNeighbors

ROOT = Path(__file__).resolve().parents[2]
SHARED = ROOT.parent / "shared" / "data"
FIRST_ROW = 546
MINUTES = {"1s": 0, "1m": 1, "5m": 5, "30m": 30, "1d": 1440}


class Series:
    """Bars of one file and what our program says of each of them."""

    def __init__(self, program, path, minutes, tick):
        self.frame = pandas.read_csv(path, parse_dates=["ts_utc"])
        out = program("features", path, minutes, tick)
        head, body = out.split(b"\n", 1)
        names = json.loads(head)
        table = numpy.frombuffer(body, dtype="<f8").reshape(-1, len(names))
        assert len(table) == len(self.frame)
        self.ours = dict(zip(names, table.T))
        self.open, self.high, self.low, self.close, self.volume = (
            self.frame[name].to_numpy(dtype=float) for name in ("open", "high", "low", "close", "volume")
        )
        self.closed_at = self.frame["ts_utc"] + pandas.Timedelta(minutes=minutes)
        self.previous = numpy.concatenate([[numpy.nan], self.close[:-1]])
        with numpy.errstate(invalid="ignore"):
            self.log_return = numpy.log(self.close / self.previous)


def walk(seed, folder):
    """1,000 bars of a random walk with shocks, calm times and bars without volume, of any price level."""
    chance = numpy.random.default_rng(seed)
    level, bars = 10.0 ** chance.integers(-3, 5), 1000
    spread = numpy.where(chance.random(bars) < 0.05, 0.03, 0.004) * chance.choice([0.3, 1.0, 2.0])
    close = level * numpy.exp(numpy.cumsum(chance.standard_normal(bars) * spread))
    opened = numpy.concatenate([[level], close[:-1]]) * (1 + chance.standard_normal(bars) * spread * 0.2)
    high = numpy.maximum(opened, close) * (1 + chance.random(bars) * spread)
    low = numpy.minimum(opened, close) * (1 - chance.random(bars) * spread)
    volume = numpy.where(chance.random(bars) < 0.02, 0.0, chance.lognormal(5, 1, bars))
    stamps = pandas.date_range("2024-03-01", periods=bars, freq="30min").strftime("%Y-%m-%dT%H:%M:%SZ")
    path = folder / f"walk-{seed}.csv"
    with path.open("w", newline="") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(["ts_utc", "open", "high", "low", "close", "volume"])
        writer.writerows([s, *map(repr, map(float, row))] for s, *row in zip(stamps, opened, high, low, close, volume))
    return path, 30, level / 1e5


def real_files():
    """Path, minutes and tick of each recording: those of the repository, then what lies beside the checkout."""
    found = [(ROOT / "tests/fixtures/bars" / f"{symbol}.csv", 1440, 0.01) for symbol in ("SPX", "IXIC")]
    for path in sorted([*SHARED.glob("bundle/*.csv"), *SHARED.glob("tests/*.csv")]):
        interval = next((part for part in path.stem.split("-") if part in MINUTES), None)
        assert interval is not None, f"{path} does not say its interval"
        # The daily bars of the repository lie beside the checkout, too.
        if all(path.read_bytes() != other.read_bytes() for other, _, _ in found):
            found.append((path, MINUTES[interval], 1e-8 if "bittrex" in path.name else 0.01))
    return found


CASES = [pytest.param(seed, id=f"walk-{seed}") for seed in range(20)] + [pytest.param(case, id=case[0].stem) for case in real_files()]


@pytest.fixture(scope="module", params=CASES)
def series(request, program, tmp_path_factory):
    case = request.param
    return Series(program, *(walk(case, tmp_path_factory.mktemp("walks")) if isinstance(case, int) else case))


def agree(ours, wanted, relative=1e-9, absolute=1e-9, needed=1):
    """Equal where the oracle has a value; and neither knows anything where the other does not."""
    ours, wanted = numpy.asarray(ours, dtype=float), numpy.asarray(wanted, dtype=float)
    known = ~numpy.isnan(wanted)
    numpy.testing.assert_array_equal(~numpy.isnan(ours), known)
    numpy.testing.assert_allclose(ours[known], wanted[known], rtol=relative, atol=absolute)
    # A recording of three minutes is too short for the longer windows; there both must know nothing.
    assert known.sum() >= needed or len(ours) <= 900, f"{known.sum()} values are too few to tell"


def enough(series, bars):
    return len(series.close) > bars


def test_weighted_averages(series):
    """ST-19 beside TA-Lib."""
    for period in (5, 20):
        agree(series.ours[f"wma_{period}"], talib.WMA(series.close, period), absolute=0.0, needed=900)


def relative_strength(close, period):
    """TA-Lib says 0 where nothing has moved yet, ST-19 says 50."""
    index = talib.RSI(close, period)
    moved = numpy.concatenate([[False], numpy.cumsum(numpy.abs(numpy.diff(close))) > 0])
    return numpy.where(numpy.isnan(index) | moved, index, 50.0)


def test_relative_strength(series):
    """ST-19 beside TA-Lib."""
    for period in (5, 20):
        agree(series.ours[f"rsi_{period}"], relative_strength(series.close, period), absolute=1e-7, needed=900)


def test_true_ranges(series):
    """ST-19 beside TA-Lib; TA-15, whose first bar has a range of its own, beside TA-Lib with one bar put before."""
    scale = series.close.mean()
    agree(series.ours["atr"] / scale, talib.ATR(series.high, series.low, series.close, 14) / scale, absolute=1e-12, needed=900)
    opened, high, low, close = (series.ours[f"tick_{name}"] for name in ("open", "high", "low", "close"))
    before = lambda values, first: numpy.concatenate([[first], values])
    inside = (high[0] + low[0]) / 2
    wanted = talib.ATR(before(high, inside), before(low, inside), before(close, inside), 14)[1:]
    agree(series.ours["tactical_atr"], wanted, needed=900)
    assert (numpy.maximum(opened, close) <= high).all()


def test_kernel_regression(series):
    """ST-22 to ST-25: the kernel of scikit-learn's Gaussian processes, summed by numpy."""
    lags = numpy.arange(27.0)[:, None]
    weights = RationalQuadratic(length_scale=8.0, alpha=8.0)(numpy.zeros((1, 1)), lags)[0]
    estimate = numpy.full(len(series.close), numpy.nan)
    if enough(series, 27):
        estimate[26:] = numpy.convolve(series.close, weights, mode="valid") / weights.sum()
    agree(series.ours["estimate"], estimate, absolute=0.0, needed=900)
    slope = numpy.diff(estimate, prepend=numpy.nan) / talib.ATR(series.high, series.low, series.close, 14)
    agree(series.ours["slope"], slope, absolute=1e-7, needed=900)
    flips = numpy.where(numpy.isnan(estimate), numpy.nan, crossings(series.ours["slope"]))
    agree(series.ours["slope_signal"], flips, needed=900)
    agree(columns(series, "nwrqk_value"), shown(series, numpy.clip((estimate / series.close - 1) / 0.05, -1, 1)))
    agree(columns(series, "nwrqk_slope"), shown(series, numpy.clip(slope, -2, 2) / 2), absolute=1e-7)


def columns(series, name):
    return series.ours[f"strategic.{name}"]


def shown(series, wanted):
    """The strategic matrix begins when its longest chain is warm (ST-18)."""
    return numpy.where(numpy.arange(len(wanted)) < FIRST_ROW, numpy.nan, wanted)


def crossings(values, margin=0.0):
    """+1 and -1 where a series leaves the band around zero."""
    before = numpy.concatenate([[numpy.nan], values[:-1]])
    with numpy.errstate(invalid="ignore"):
        return ((values > margin) & (before <= margin)).astype(int) - ((values < -margin) & (before >= -margin)).astype(int)


def nearest_votes(fast, slow, close, events):
    """ST-20 by scikit-learn. Second: whether the vote is unambiguous, no distance equal at the border of the five."""
    votes, clear = numpy.full(len(close), numpy.nan), numpy.ones(len(close), dtype=bool)
    known = ~(numpy.isnan(fast) | numpy.isnan(slow))
    at = [t for t in numpy.flatnonzero(events) if known[t]]
    labels = numpy.array([1.0 if close[u] >= close[t] else -1.0 for t, u in zip(at, at[1:])])
    stored = numpy.array([(slow[t], fast[t]) for t in at[:-1]])
    votes[known] = 50.0
    borders = [*at[1:], len(close)]
    for count, (begin, end) in enumerate(zip(borders, borders[1:]), start=1):
        nearest = NearestNeighbors(n_neighbors=min(6, count), algorithm="kd_tree").fit(stored[:count])
        asked = numpy.column_stack([slow[begin:end], fast[begin:end]])
        distance, index = nearest.kneighbors(asked)
        votes[begin:end] = 50 * (1 + labels[index[:, :5]].mean(axis=1))
        if count > 5:
            clear[begin:end] = distance[:, 5] - distance[:, 4] > 1e-7
    return votes, clear


def test_momentum_index(series):
    """ST-20, ST-21: TA-Lib for the indices and averages, scikit-learn for the neighbours."""
    fast, slow = (talib.WMA(relative_strength(series.close, period)[period:], 20) for period in (5, 20))
    late = lambda values, first: numpy.concatenate([numpy.full(first, numpy.nan), values])
    fast, slow = late(fast, 5), late(slow, 20)
    both = numpy.isnan(fast) | numpy.isnan(slow)
    agree(series.ours["fast"], numpy.where(both, numpy.nan, fast), absolute=1e-7, needed=900)
    agree(series.ours["slow"], slow, absolute=1e-7, needed=900)
    spread = talib.WMA(series.close, 5) - talib.WMA(series.close, 20)
    # Where two averages differ by rounding alone, either sign is right; the vote is then tested on our crossings.
    sure = numpy.abs(spread) > 1e-12 * series.close
    sure &= numpy.concatenate([[True], sure[:-1]])
    ours = numpy.nan_to_num(series.ours["event"]).astype(int)
    wanted = numpy.where(both, 0, crossings(spread))
    numpy.testing.assert_array_equal(ours[sure], wanted[sure])
    assert sure[40:].mean() > 0.9 or not enough(series, 600)
    votes, clear = nearest_votes(fast, slow, series.close, ours)
    agree(numpy.where(clear, series.ours["mlmi"], 0), numpy.where(clear, votes, 0), absolute=1e-9)
    assert clear.mean() > 0.99 or not enough(series, 600)
    average = late(talib.WMA(series.ours["mlmi"][39:], 20), 39) if enough(series, 60) else numpy.full(len(series.close), numpy.nan)
    agree(series.ours["mlmi_average"], average, absolute=1e-7)
    signal = crossings(series.ours["mlmi"] - series.ours["mlmi_average"], 1e-9)
    agree(columns(series, "mlmi_signal"), shown(series, signal))
    agree(columns(series, "mlmi_value"), shown(series, (series.ours["mlmi"] - 50) / 50))


def profile(series, t):
    """ST-27 by numpy: volume of the newest 20 bars over 50 equal bins, or None."""
    high, low, volume = (values[t - 19 : t + 1] for values in (series.high, series.low, series.volume))
    edges = numpy.linspace(low.min(), high.max(), 51)
    if high.max() - low.min() < 1e-12:
        return None
    overlap = numpy.minimum(high[:, None], edges[None, 1:]) - numpy.maximum(low[:, None], edges[None, :-1])
    share = numpy.divide(numpy.clip(overlap, 0, None), (high - low)[:, None], where=(high > low)[:, None], out=numpy.zeros((20, 50)))
    for flat in numpy.flatnonzero(high == low):
        # On the common edge of two bins rounding decides; it is rounded as our program does, so that nothing is forgiven.
        share[flat, min(int((low[flat] - low.min()) / ((high.max() - low.min()) / 50)), 49)] = 1.0
    return edges, volume @ share


def nearest_node(series, t):
    """ST-28, ST-29: level, strength, and whether rounding decides nothing."""
    found = profile(series, t)
    if found is None or found[1].max() == 0:
        return numpy.nan, numpy.nan, True
    edges, bins = found
    busiest, middle = bins.max(), bins[1:-1]
    slack = 1e-9 * busiest
    limits = numpy.stack([numpy.full(48, 0.3 * busiest), bins[:-2] + slack, bins[2:] + slack])
    node = (middle < limits[0]) & (middle <= limits[1]) & (middle <= limits[2])
    levels = (edges[1:-2] + edges[2:-1]) / 2
    clear = (numpy.abs(middle - limits) > 1e-12 * busiest).all()
    if not node.any():
        return numpy.nan, numpy.nan, clear
    strength = 1 - middle / busiest
    distance = numpy.where(node, numpy.abs(levels - series.close[t]), numpy.inf)
    best = distance.argmin()
    rivals = numpy.sort(distance)[:2]
    clear &= not numpy.isfinite(rivals[1]) or rivals[1] - rivals[0] > 1e-9 * series.close[t]
    return levels[best], strength[best], clear


def test_low_volume_nodes(series):
    """ST-27 to ST-29 beside numpy. Where rounding decides, another answer is forgiven, but not often."""
    forgiven, compared = 0, 0
    atr, names = series.ours["atr"], ("node_level", "node_strength")
    for t in range(19, len(series.close), 1 if len(series.close) < 6000 else 5):
        level, strength, clear = nearest_node(series, t)
        ours = [series.ours[name][t] for name in names]
        compared += 1
        if not clear and not numpy.allclose(ours, (level, strength), rtol=1e-8, atol=1e-8 * series.close[t], equal_nan=True):
            forgiven += 1
            continue
        numpy.testing.assert_allclose(ours, (level, strength), rtol=1e-8, atol=1e-8 * series.close[t], err_msg=f"bar {t}")
        if t >= FIRST_ROW:
            found = not math.isnan(level)
            far = min(1, abs(level - series.close[t]) / (3 * atr[t])) if found and atr[t] > 0 else 1.0
            assert columns(series, "lvn_distance")[t] == pytest.approx(far, abs=1e-7)
            assert columns(series, "lvn_strength")[t] == pytest.approx(strength if found else 0, abs=1e-7)
    assert forgiven <= 0.02 * compared, f"{forgiven} of {compared} bars were forgiven"


def test_momentum_and_volatility(series):
    """ST-31 to ST-33 beside pandas."""
    close, returns = pandas.Series(series.close), pandas.Series(series.log_return)
    deviation = returns.rolling(30).apply(lambda window: numpy.std(window, ddof=1), raw=True)
    agree(series.ours["deviation"], deviation, absolute=1e-14)
    median = deviation.rolling(480, min_periods=1).median().where(deviation.notna())
    ratio = numpy.where(median < 1e-12, 1.0, deviation / median)
    agree(series.ours["volatility"], numpy.where(deviation.isna(), numpy.nan, ratio))
    with numpy.errstate(divide="ignore"):
        agree(columns(series, "volatility_30"), shown(series, numpy.clip(numpy.log(ratio), -2, 2) / 2))
    for bars in (20, 50):
        momentum = numpy.log(close / close.shift(bars))
        agree(series.ours[f"momentum_{bars}"], momentum, absolute=1e-13)
        scaled = numpy.where(deviation < 1e-12, 0.0, numpy.clip(momentum / (deviation * math.sqrt(bars)), -3, 3) / 3)
        agree(columns(series, f"momentum_{bars}"), shown(series, scaled))


def test_discrepancy(series):
    """ST-34 to ST-37: pandas for the vectors, scipy for the width, scikit-learn for the kernel; every seventh bar,
    fewer of long recordings."""
    if not enough(series, FIRST_ROW):
        assert numpy.isnan(series.ours["mmd_squared"]).all()
        return
    volume = pandas.Series(numpy.maximum(series.volume, 1e-9))
    mean = volume.rolling(20).apply(numpy.mean, raw=True)
    vectors = numpy.column_stack([series.log_return, (series.high - series.low) / series.previous, numpy.log(volume / mean)])
    assert numpy.isnan(series.ours["mmd_squared"][:FIRST_ROW]).all()
    step = 7 if len(series.close) < 6000 else 101
    for t in range(FIRST_ROW, len(series.close), step):
        past, recent = vectors[t - 527 : t - 47], vectors[t - 47 : t + 1]
        middle = numpy.median(past, axis=0)
        scale = numpy.maximum(1.4826 * numpy.median(numpy.abs(past - middle), axis=0), 1e-8)
        past, recent = (past - middle) / scale, (recent - middle) / scale
        sigma = max(math.sqrt(numpy.median(pdist(past, "sqeuclidean"))), 1e-6)
        kernel = lambda a, b: rbf_kernel(a, b, gamma=1 / (2 * sigma * sigma))
        within = lambda a: (kernel(a, a).sum() - len(a)) / (len(a) * (len(a) - 1))
        squared = within(recent) + within(past) - 2 * kernel(recent, past).mean()
        assert series.ours["mmd_sigma"][t] == pytest.approx(sigma, rel=1e-9)
        assert series.ours["mmd_squared"][t] == pytest.approx(squared, abs=1e-9), f"bar {t}"
        assert columns(series, "mmd_score")[t] == pytest.approx(min(math.sqrt(max(0, squared)), 1), abs=2e-5)


def test_skew(series):
    """ST-38 beside numpy."""
    price = (series.high + series.low + series.close) / 3
    wanted = numpy.full(len(price), numpy.nan)
    for t in range(19, len(price)):
        x, v = price[t - 19 : t + 1], series.volume[t - 19 : t + 1]
        if v.sum() <= 0:
            wanted[t] = 0.0
            continue
        mean = numpy.average(x, weights=v)
        variance = numpy.average((x - mean) ** 2, weights=v)
        wanted[t] = 0.0 if variance < 1e-16 else numpy.average((x - mean) ** 3, weights=v) / variance**1.5
    agree(series.ours["skew"], wanted, relative=1e-6, absolute=1e-6)
    agree(columns(series, "volume_profile_skew"), shown(series, numpy.clip(wanted, -3, 3) / 3), absolute=1e-6)


def test_hours(series):
    """ST-8, columns 6 and 7: the hour of the close in UTC."""
    closed = series.closed_at
    hour = closed.dt.hour + closed.dt.minute / 60 + closed.dt.second / 3600
    agree(columns(series, "time_hour_sin"), shown(series, numpy.sin(2 * numpy.pi * hour / 24)), absolute=1e-12)
    agree(columns(series, "time_hour_cos"), shown(series, numpy.cos(2 * numpy.pi * hour / 24)), absolute=1e-12)


def open_gaps(series):
    """TA-9 to TA-12 read literally, in ticks: one row (bullish, bearish, level, age, mitigated) for each bar."""
    opened, high, low, close = (series.ours[f"tick_{name}"] for name in ("open", "high", "low", "close"))
    body = numpy.abs(close - opened)
    rows, gaps = [], []
    for i in range(len(close)):
        gaps = [gap for gap in gaps if i - gap["born"] <= 60]
        filled = [gap for gap in gaps if (low[i] <= gap["low"] if gap["side"] > 0 else high[i] >= gap["high"])]
        gaps = [gap for gap in gaps if gap not in filled]
        if i >= 2 and body[i - 1] > 1.5 * body[max(0, i - 20) : i].mean():
            if low[i] > high[i - 2]:
                gaps.append({"side": 1, "low": high[i - 2], "high": low[i], "born": i})
            elif high[i] < low[i - 2]:
                gaps.append({"side": -1, "low": high[i], "high": low[i - 2], "born": i})
        edges = [(abs(edge - close[i]), -gap["born"], edge) for gap in gaps for edge in (gap["low"], gap["high"])]
        near = min(edges, default=None)
        level, age = (near[2], i + near[1]) if near else (0.0, 0)
        rows.append((any(g["side"] > 0 for g in gaps), any(g["side"] < 0 for g in gaps), level, age, bool(filled)))
    return numpy.array(rows, dtype=float)


def test_fair_value_gaps(series):
    """TA-9 to TA-12, beside a list of gaps in plain Python."""
    wanted = open_gaps(series)
    for name, column in zip(("gap_bullish", "gap_bearish", "gap_level", "gap_age", "gap_mitigated"), wanted.T):
        numpy.testing.assert_array_equal(series.ours[name], column, err_msg=name)
    assert wanted[:, 4].sum() > 5 or not enough(series, 900), "hardly any gap"


def test_tactical_matrix(series):
    """TA-8, TA-13, TA-14: the model columns, pandas for the average of the volume and the momentum."""
    close = pandas.Series(series.ours["tick_close"])
    percent = (close.pct_change(5) * 100).fillna(0.0).clip(-10, 10)
    average = pandas.Series(series.volume).ewm(span=20, adjust=False).mean()
    ratio = (pandas.Series(series.volume) / average.where(average > 0)).fillna(0.0)
    gaps = open_gaps(series)
    active = (gaps[:, 0] + gaps[:, 1]) > 0
    level = numpy.where(active, numpy.clip((gaps[:, 2] / close - 1) * 100, -10, 10) / 10, 0.0)
    wanted = {
        "fvg_bullish_active": gaps[:, 0],
        "fvg_bearish_active": gaps[:, 1],
        "fvg_nearest_level": level,
        "fvg_age": numpy.minimum(gaps[:, 3], 60) / 60,
        "fvg_mitigation_signal": gaps[:, 4],
        "price_momentum_5": numpy.tanh(percent / 5),
        "volume_ratio": numpy.tanh(numpy.log(1 + numpy.maximum(0, ratio - 1))),
    }
    warm = numpy.arange(len(close)) >= 79
    for name, column in wanted.items():
        agree(series.ours[f"tactical.{name}"], numpy.where(warm, column, numpy.nan), relative=1e-6, absolute=1e-7)
