"""What happened to one query so far: its attempts in order, what is kept of those that were bought, the decision."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from ..backends import Event, Finished, Text, Thought, ToolCallDelta
from ..domain import Attempt, Decision
from ..errors import BackendError
from . import policy
from .attempts import Watch
from .decide import Considered, conclude


@dataclass(frozen=True, slots=True)
class Kept:
    """A bought answer, to be replayed if it is chosen."""

    watch: Watch
    events: tuple[Thought | Text | ToolCallDelta, ...]


class Run:
    """One query's way. signs: whether what is asked about bought answers is wanted of the one that is given, too."""

    def __init__(self, considered: Considered, *, signs: bool) -> None:
        self.considered, self.signs = considered, signs
        self.attempts: list[Attempt] = []
        self.kept: dict[int, Kept] = {}
        self.watch: Watch | None = None
        self.watch_counted = False
        self.decision: Decision | None = None
        self.failure: BackendError | None = None
        self.recorded = False

    def begin(self, watch: Watch) -> Watch:
        """A route runs now."""
        self.watch, self.watch_counted = watch, False
        return watch

    def fail(self, watch: Watch, error: BackendError) -> None:
        """It came to nothing."""
        watch.error, self.failure = str(error), error
        self.count(watch)

    async def collect(self, first: Event, begun: Sequence[Thought | Text | ToolCallDelta] = ()) -> bool:
        """Run a bought answer to its end and keep it; False where it failed. begun: what was there of it before."""
        watch = self.watch
        assert watch is not None
        events = list(begun)
        try:
            if not isinstance(first, Finished):
                events.append(first)
                async for event in watch:
                    if isinstance(event, Finished):
                        break
                    events.append(event)
        except BackendError as error:
            self.fail(watch, error)
            return False
        self.count(watch)
        self.kept[len(self.attempts) - 1] = Kept(watch, tuple(events))
        return True

    def take(self, place: int) -> Attempt:
        """The attempt there is gone on with: it is no evidence any more, but the beginning of the answer."""
        taken = self.attempts.pop(place)
        self.kept = {at - (at > place): kept for at, kept in self.kept.items() if at != place}
        return taken

    def count(self, watch: Watch) -> None:
        """Its attempt is the last one so far."""
        self.attempts.append(watch.attempt())
        self.watch_counted = True

    def asked(self, attempts: Sequence[Attempt], signs: Mapping[str, float]) -> None:
        """What was asked about the last answer stands before it, and what that showed with it."""
        answered, place = self.attempts.pop(), len(self.attempts)
        self.attempts += [*attempts, replace(answered, signs={**answered.signs, **signs})]
        if place in self.kept:
            self.kept[len(self.attempts) - 1] = self.kept.pop(place)

    def all_attempts(self) -> tuple[Attempt, ...]:
        """Everything that was run, also what still runs or was left; the answer that the caller got is the last."""
        if self.watch is not None and not self.watch_counted:
            self.count(self.watch)
        return tuple(self.attempts)

    def undecided(self, attempts: tuple[Attempt, ...]) -> Decision | None:
        """The decision of a run that never got as far as a token: the last route tried.

        The error's own text stays with the attempt: it may quote the query, and a reason is kept without texts too."""
        if not attempts:
            return None
        reason = "no route answered" if attempts[-1].error else "left before the first token"
        step = policy.Commit(attempts[-1].route, reason)
        return conclude(self.considered, step, attempts[:-1])
