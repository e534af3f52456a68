"""What holds for every test, and for the processes that it starts: properties are not timed (machines are busy), CI draws
the same examples each time, and small matrices are multiplied by one thread, for several wait for each other longer than
they work."""

from __future__ import annotations

import os

from hypothesis import settings

os.environ.setdefault("OMP_NUM_THREADS", "1")  # read when NumPy, scikit-learn and PyTorch are loaded

settings.register_profile("pointsman", deadline=None, derandomize=bool(os.environ.get("CI")))
settings.load_profile("pointsman")
