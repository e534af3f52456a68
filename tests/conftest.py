"""What holds for every test: properties are not timed (machines are busy), and CI draws the same examples each time."""

from __future__ import annotations

import os

from hypothesis import settings

settings.register_profile("pointsman", deadline=None, derandomize=bool(os.environ.get("CI")))
settings.load_profile("pointsman")
