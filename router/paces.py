"""How fast models are, by the calls that were made to them: until the first token where the model was in memory, where
it had to be loaded, and how many tokens it writes in a second. Kept for the life of the process."""

from __future__ import annotations

from collections import deque
from statistics import median

RECENT = 9
"""So many calls are remembered; their median is what is told, as any one may have waited for other reasons."""
FEWEST = 8
"""Tokens that an answer must have for its speed to be told."""


class Recent:
    """The median of the last few values; None before the first."""

    def __init__(self) -> None:
        self._values: deque[float] = deque(maxlen=RECENT)
        self.value: float | None = None

    def add(self, value: float) -> None:
        """One more."""
        self._values.append(value)
        self.value = median(self._values)


class Pace:
    """One model's."""

    def __init__(self) -> None:
        self._warm, self._cold, self._rate = Recent(), Recent(), Recent()

    def began(self, seconds: float, *, cold: bool) -> None:
        """A call's first token came after so many seconds. cold: its model was not in memory, and was loaded for it."""
        (self._cold if cold else self._warm).add(seconds)

    def wrote(self, tokens: int, seconds: float) -> None:
        """So many tokens came in these seconds, from the first to the last."""
        if tokens >= FEWEST and seconds > 0:
            self._rate.add((tokens - 1) / seconds)

    @property
    def load_s(self) -> float | None:
        """Seconds that loading takes; None: never seen. What any call waits for its first token is none of it."""
        return None if self._cold.value is None else max(0.0, self._cold.value - (self._warm.value or 0.0))

    @property
    def tokens_s(self) -> float | None:
        """Tokens that it writes in a second; None: never seen."""
        return self._rate.value
