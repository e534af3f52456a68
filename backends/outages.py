"""Which models' servers did not answer lately, so that queries which need not go there do not wait for them.

Only silence counts: no connection, or none of the reply in time. A server that refuses or fails with a status is there,
and another route takes over at once.
"""

from __future__ import annotations

import time
from collections.abc import Callable

from ..errors import BackendError, BackendTimeout, BackendUnavailable

REST_S = 15.0
"""How long a model is left out after it was silent; then one query tries it again."""
TRY_S = 600.0
"""How long the others wait for the word of the one that tries, whatever becomes of it."""
IMPATIENT = 3
"""So many calls in a row that we did not wait for long enough prove as much as silence does."""


class Outages:
    """The models that are left out, by name. clock: seconds."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._until: dict[str, float] = {}
        self._unheard: dict[str, int] = {}
        self._down: dict[str, str] = {}

    def down(self, model: str, why: str) -> None:
        """A server that we started keeps dying: nothing goes there before it has answered."""
        self._down[model] = why

    def reason(self, model: str) -> str | None:
        """Why a model is out of service; None: it is not."""
        return self._down.get(model)

    def resting(self, model: str) -> bool:
        """Whether the model is to be left out now."""
        return model in self._down or self._clock() < self._until.get(model, 0.0)

    def trying(self, model: str) -> None:
        """A query goes to the model; where it was silent, no other does before this one has ended."""
        if model in self._until:
            self._until[model] = self._clock() + TRY_S

    def answered(self, model: str) -> None:
        """Something came, or a server that we started is ready again after its end."""
        self._down.pop(model, None)
        self._until.pop(model, None)
        self._unheard.pop(model, None)

    def failed(self, model: str, error: BackendError) -> None:
        """Nothing came but this error."""
        if isinstance(error, BackendTimeout | BackendUnavailable) and error.status is None:
            self._until[model] = self._clock() + REST_S
        else:
            self.answered(model)

    def cut_short(self, model: str) -> None:
        """Nothing had come when our own patience ended, for less than an answer may take: once proves nothing."""
        self._unheard[model] = self._unheard.get(model, 0) + 1
        if self._unheard[model] >= IMPATIENT:
            self._until[model] = self._clock() + REST_S
        else:
            self.left(model)

    def left(self, model: str) -> None:
        """The caller left before anything came, which proves nothing: what was silent stays so."""
        if model in self._until:
            self._until[model] = self._clock() + REST_S
