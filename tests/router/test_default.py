"""The process's own router: made at first use, closed when the process ends."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import psutil

from pointsman.store import StoreConfig, open_store

SCRIPT = """
import pointsman, psutil
print(pointsman.ask("3+4", model="small"))
print(*(child.pid for child in psutil.Process().children()))
"""


def test_a_script_that_asks_ends_quietly_with_its_engines_stopped_and_its_record_written(tmp_path: Path) -> None:
    """Closing runs while the interpreter ends, when no pool takes work any more."""
    env = {**os.environ, "POINTSMAN_HOME": str(tmp_path)}
    done = subprocess.run(
        [sys.executable, "-c", SCRIPT], env=env, cwd=tmp_path, capture_output=True, text=True, timeout=120, check=False
    )
    assert (done.returncode, done.stderr) == (0, "")
    answer, engines = done.stdout.splitlines()
    assert answer == "7"
    assert engines
    assert not any(psutil.pid_exists(int(pid)) for pid in engines.split())
    with open_store(StoreConfig(url=f"sqlite:///{tmp_path}/pointsman.db")) as store:
        assert [record.attempts[-1].answer for record in store.records()] == ["7"]
