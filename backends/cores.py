"""How many threads an engine may use on this machine."""

from __future__ import annotations

import os
from pathlib import Path

_QUOTA = Path("/sys/fs/cgroup/cpu.max")


def most_threads() -> int:
    """One less than the cores we may use, at least one: with as many threads as cores, llama.cpp collapses as soon as
    anything else runs (80 tokens/s became 3)."""
    return max(1, usable_cores() - 1)


def usable_cores() -> int:
    """Cores that this process may run on: its affinity, or less where a container's quota (cgroup v2) is smaller."""
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    try:
        quota, period = _QUOTA.read_text("ascii").split()
        return max(1, min(cores, int(int(quota) / int(period))))
    except (OSError, ValueError):  # no quota reads "max"
        return cores
