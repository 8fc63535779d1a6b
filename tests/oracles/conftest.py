"""Where the programs and the bars are, and the closing line that the whole test run counts."""

import os
import platform
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture(scope="session")
def program():
    """Runs an example program of the workspace by name with arguments; returns its standard output as bytes."""
    target = Path(os.environ.get("CARGO_TARGET_DIR", ROOT / "target"))
    folder = target / f"{platform.machine()}-unknown-linux-gnu" / "debug" / "examples"

    def run(name, *arguments, stdin=None):
        path = folder / name
        assert path.exists(), f"{path} is not built: run `cargo test --workspace` or `cargo build --examples` first"
        done = subprocess.run([path, *map(str, arguments)], input=stdin, capture_output=True, timeout=3000)
        assert done.returncode == 0, done.stderr.decode(errors="replace")
        return done.stdout

    return run


@pytest.fixture(scope="session")
def bars():
    """Folder of the real daily bars of the repository (CSV)."""
    return ROOT / "tests" / "fixtures" / "bars"


def pytest_terminal_summary(terminalreporter):
    """A skipped oracle proves nothing, so it counts as failed."""
    count = lambda *kinds: sum(len(terminalreporter.stats.get(kind, ())) for kind in kinds)
    failed = count("failed", "error", "skipped", "xfailed", "xpassed")
    terminalreporter.write_line(f"{count('passed')} passed, {failed} failed")
