#!/usr/bin/env python3
"""Oracle of the confidence sequence, written from the formulas of theorem 2 of Waudby-Smith and Ramdas,
"Estimating means of bounded random variables by betting", with exact-order sums over the whole history (no
streaming). Prints the fixture: python3 evidence_oracle.py > fixtures/evidence.json"""

import json
from fractions import Fraction
from math import fsum, log, sqrt

BOUND, C = 200.0, 0.75


def differences(seed, n, centre, spread):
    """Integers from a linear congruential generator, so that any language can repeat them."""
    state, out = seed, []
    for _ in range(n):
        state = (state * 1103515245 + 12345) % 2**31
        out.append(centre + (state >> 8) % (2 * spread + 1) - spread)
    return out


def interval(history, alpha):
    xs = [(min(max(d, -BOUND), BOUND) + BOUND) / (2 * BOUND) for d in history]
    mu = [0.5] + [(0.5 + fsum(xs[:i])) / (i + 1) for i in range(1, len(xs) + 1)]
    var = [0.25]
    for i in range(1, len(xs) + 1):
        var.append((0.25 + fsum((xs[j] - mu[j + 1]) ** 2 for j in range(i))) / (i + 1))
    lam = [min(sqrt(2 * log(2 / alpha) / (var[t - 1] * t * log(1 + t))), C) for t in range(1, len(xs) + 1)]
    v = [4 * (xs[t] - mu[t]) ** 2 for t in range(len(xs))]
    psi = [(-log(1 - l) - l) / 4 for l in lam]
    middle = fsum(l * x for l, x in zip(lam, xs)) / fsum(lam)
    width = (log(2 / alpha) + fsum(a * b for a, b in zip(v, psi))) / fsum(lam)
    bps = lambda x: min(max(x, 0.0), 1.0) * 2 * BOUND - BOUND
    mean = float(sum(Fraction(x) for x in xs) / len(xs))
    return {"n": len(xs), "mean": bps(mean), "lower": bps(middle - width), "upper": bps(middle + width)}


cases = []
for seed, centre, spread, confidence in [(1, 0, 30, 9500), (2, -12, 90, 9500), (3, 40, 250, 9900), (4, 0, 0, 9000)]:
    history = differences(seed, 500, centre, spread)
    at = [interval(history[:n], 1 - confidence / 1e4) for n in (1, 2, 10, 100, 500)]
    cases.append({"seed": seed, "centre": centre, "spread": spread, "confidenceBps": confidence,
                  "winsorised": sum(abs(d) > BOUND for d in history), "at": at})
print(json.dumps({"boundBps": BOUND, "cases": cases}, indent=1))
