"""A strategic checkpoint that numpy and safetensors wrote, served in a cluster: does it decide what ONNX Runtime says?

    foreign.py write FILE            writes the network with numpy, converts it with `tradewind-checkpoint convert`
    foreign.py check LEDGER BARS     compares the strategic decisions of a ledger (JSON lines) on the daily bars of a folder

The weights are random, but the same in each run."""

import json
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np

from test_networks import ACTIONS, Oracle, built

COLUMNS = 13
ROWS = 48
TOLERANCE = 1e-5
HOUR = 3_600_000_000_000


def write(file):
    with tempfile.TemporaryDirectory() as folder:
        done, out = Oracle("Strategic", Path(folder)).convert("foreign")
        if done.returncode:
            sys.exit(done.stdout + done.stderr)
        shutil.copyfile(out, file)


def matrices(bars):
    """The strategic columns of every bar by symbol, as our features print them."""
    found = {}
    for path in sorted(Path(bars).glob("*.csv")):
        printed = subprocess.run([built("examples/features"), path, "1440", "0.01"], capture_output=True, check=True, timeout=3000)
        head, body = printed.stdout.split(b"\n", 1)
        names = json.loads(head)
        table = np.frombuffer(body, "<f8").reshape(-1, len(names))
        columns = [at for at, name in enumerate(names) if name.startswith("strategic.")]
        assert len(columns) == COLUMNS
        found[path.stem] = table[:, columns].astype(np.float32)
    return found


def expected(oracle, rows, event):
    """Distributions of the three agents (ST-9, ST-10, ST-12..ST-14, ST-47, ST-51)."""
    hours = event["barCloseTime"] // HOUR
    angle, weekday = 2 * np.pi * (hours % 24) / 24, (hours // 24 + 3) % 7
    volatility = np.clip(event["volatility30"], 0.01, 100)
    context = [event["confidence"], event["direction"], np.log(volatility), np.sin(angle), np.cos(angle), weekday / 6]
    inputs = np.concatenate([rows.astype(np.float64).mean(axis=0), context])[None, :]
    found = {}
    for agent in ACTIONS["Strategic"]:
        logits = oracle.run(agent, oracle.view(agent, inputs))[0].astype(np.float64)
        factor = np.clip(1 / max(volatility, 1e-6), 0.5, 2) if agent == "regime" else 1
        scaled = logits / float(oracle.vectors[f"agents.{agent}.temperature"][0]) * factor
        powers = np.exp(scaled - scaled.max())
        found[agent] = powers / powers.sum()
    return found


def check(ledger, bars):
    with tempfile.TemporaryDirectory() as folder:
        oracle = Oracle("Strategic", Path(folder))
    features, compared, worst = matrices(bars), 0, 0.0
    for line in Path(ledger).read_text().splitlines():
        record = json.loads(line)
        strategic = record.get("strategic")
        if not strategic or strategic["decision"]["fallback"]:
            continue
        rows = features[record["symbol"]][record["index"] - ROWS + 1 : record["index"] + 1]
        theirs = expected(oracle, rows, strategic["event"])
        for action in strategic["decision"]["individualActions"]:
            ours = [action["probabilities"][name] for name in ("bullish", "neutral", "bearish")]
            worst = max(worst, float(np.abs(ours - theirs[action["agent"]]).max()))
        compared += 1
    print(f"{compared} strategic decisions compared with ONNX Runtime, largest difference {worst:.1e}")
    if not compared or not worst < TOLERANCE:
        sys.exit(1)


if __name__ == "__main__":
    match sys.argv[1:]:
        case ["write", file]:
            write(file)
        case ["check", ledger, bars]:
            check(ledger, bars)
        case _:
            sys.exit(__doc__)
