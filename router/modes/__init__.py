"""Modes that loop: a question asked several times, or a thought looked into on its way.

Each is a generator function `(query, numbers) -> Call | Answer` (calls.py says how it is driven), a row of `LOOPS` says
what it takes and needs; `router/looping.py` runs them. Modes that only change what is sent are rows of the catalogue
(`backends/modes.yaml`)."""

from .calls import Answer, Reply, Steps
from .loops import LOOPS, Loop, could, fitting, loop_of, mode_of, unable

__all__ = ["LOOPS", "Answer", "Loop", "Reply", "Steps", "could", "fitting", "loop_of", "mode_of", "unable"]
