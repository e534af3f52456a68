"""What follows from what was seen: the promises that a route's name makes. Pure: replies in, rulings out.

A promise is `kept` only where it was put to the test: a budget on a thought that is longer without one, by more than an
engine's closing words, and that came to the budget. Nothing passes because the model happened to think little."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from enum import StrEnum
from statistics import median
from typing import Any

from ....backends import SLACK
from ....domain import Enforcement, Finish, Json, Route
from .observing import Observed

OPEN_TOKENS = 48
"""An answer that is asked for alone and takes fewer tokens holds no reasoning worth the name."""
OPEN_TIMES = 3
"""By how many times an answer without thought must be longer than one with it, to have the reasoning in it."""


class Ruling(StrEnum):
    """What a finding comes to."""

    KEPT = "kept"
    BROKEN = "broken"
    NOT_SHOWN = "not shown"
    NOT_COUNTABLE = "not countable"
    NOT_POSSIBLE = "not possible"


@dataclass(frozen=True, slots=True)
class Finding:
    """about: what was looked at; sentence: what was seen; promise: whether a route's name lies where it is broken;
    figures: the numbers behind it."""

    about: str
    ruling: Ruling
    sentence: str
    promise: bool = False
    figures: Json = field(default_factory=dict[str, Any])

    def body(self) -> Json:
        """As JSON."""
        return asdict(self) | {"ruling": self.ruling.value}

    @classmethod
    def of(cls, body: Json) -> Finding:
        """Out of `body`. Raises LookupError, ValueError where it is none."""
        return cls(
            str(body["about"]),
            Ruling(body["ruling"]),
            str(body["sentence"]),
            bool(body.get("promise")),
            dict(body.get("figures") or {}),
        )


@dataclass(frozen=True, slots=True)
class Cut:
    """A question asked with a budget, and without one (None: that was not run, or failed)."""

    budget: int
    bounded: Observed
    free: Observed | None

    @property
    def over(self) -> int:
        """Tokens of thought beyond the budget, closing words included."""
        return max(0, self.bounded.thought_spent - self.budget)

    @property
    def binds(self) -> bool:
        """Whether the thought is longer without the budget, by more than closing words are."""
        return self.free is not None and self.free.error is None and self.free.thought_spent > self.budget + SLACK

    @property
    def reached(self) -> bool:
        """Whether the thought came to the budget, so that it is known to have been cut."""
        return self.bounded.thought_spent >= self.budget - max(2, self.budget // 8)


def answered(seen: Iterable[Observed]) -> list[Observed]:
    """Those that did not fail."""
    return [one for one in seen if one.error is None]


def failure(about: str, seen: Sequence[Observed], *, promise: bool) -> Finding:
    """Nothing can be said, as every call failed."""
    why = next((one.error for one in seen if one.error), "nothing was asked")
    return Finding(about, Ruling.NOT_POSSIBLE, f"Every call failed: {why}", promise)


def off(without: Sequence[Observed], thinking: Sequence[Observed], *, thinks: bool | None) -> Finding:
    """Whether thinking that is switched off is off, by marks, by what is billed, and by the length of the answers.

    without, thinking: the same questions with thinking off and on; thinks: whether the model does, None: not told."""
    good, on = answered(without), answered(thinking)
    if not good:
        return failure("off", without, promise=True)
    spent = [one.thought_spent for one in good]
    open_answer = median(one.visible for one in good)
    thought = median([one.thought_spent for one in on] or [0])
    closed = median([one.visible for one in on] or [0])
    figures = {"thought": sum(spent), "visible_off": open_answer, "visible_on": closed, "thought_on": thought}

    def ruled(ruling: Ruling, sentence: str) -> Finding:
        return Finding("off", ruling, sentence, True, figures)

    if any(spent):
        guilty = sum(1 for tokens in spent if tokens)
        seen = "" if any(one.thought.strip() for one in good) else ", billed but not shown"
        told = f"{guilty} of {len(good)} answers came with thought ({_tokens(max(spent))}{seen})"
        return ruled(Ruling.BROKEN, f"Off is not off: {told}.")
    if any(one.marked for one in good):
        return ruled(Ruling.BROKEN, "Off is not off: marks of a thought stand in the answer.")
    told = f"answers of {_tokens(open_answer)}"
    if thought <= 0:
        if thinks is False:
            return ruled(Ruling.KEPT, f"The model does not think; {told}.")
        return ruled(Ruling.NOT_SHOWN, f"The model did not think with thinking on either; {told}.")
    long = max(OPEN_TOKENS, thought / 2)
    if open_answer >= long and open_answer >= OPEN_TIMES * closed:
        return ruled(
            Ruling.BROKEN,
            f"Off moves the thought into the answer: {told} without thinking, of {closed:g} after a thought of "
            f"{thought:g}.",
        )
    return ruled(Ruling.KEPT, f"No thought in {len(good)} {told}; with thinking on, a thought of {_tokens(thought)}.")


def budget(cuts: Sequence[Cut], *, thinks: bool | None, about: str = "budget") -> Finding:
    """Whether thinking budgets are kept. cuts: several budgets on several questions."""
    good = [cut for cut in cuts if cut.bounded.error is None]
    if thinks is False:
        return Finding(about, Ruling.NOT_POSSIBLE, "The model does not think, so there is nothing to bound.", True)
    if not good:
        return failure(about, [cut.bounded for cut in cuts], promise=True)
    binding = [cut for cut in good if cut.binds]
    over = max(cut.over for cut in good)
    tried = sorted({cut.budget for cut in good})
    shown = sorted({cut.budget for cut in binding if cut.reached})
    ignored = any("ignored the thinking budget" in warning for cut in good for warning in cut.bounded.warnings)
    figures = {"budgets": tried, "shown": shown, "overrun": over, "ignored": ignored, "enforced": enforced(good).value}
    if over > SLACK:
        worst = max(good, key=lambda cut: cut.over)
        sentence = f"A budget of {worst.budget} was overrun by {worst.over} tokens ({worst.bounded.thought_spent})."
        return Finding(about, Ruling.BROKEN, sentence, True, figures)
    if not shown:
        longest = max((cut.free.thought_spent for cut in good if cut.free is not None), default=None)
        why = "no thought without it was seen" if longest is None else f"the model thought {longest} tokens at most"
        if binding:
            why = f"thoughts stayed under it by themselves, though they take {longest} tokens without it"
        sentence = f"Not shown for {_listed(tried)}: {why}."
        return Finding(about, Ruling.NOT_SHOWN, sentence, True, figures)
    way = "The server ignores its own budget, so the thought is cut and the answer asked for. " if ignored else ""
    missing = [one for one in tried if one not in shown]
    rest = f"; not shown for {_listed(missing)}, the model thought less" if missing else ""
    sentence = f"{way}{_listed(shown)} tokens kept, at most {over} over with the closing words{rest}."
    return Finding(about, Ruling.KEPT, sentence, True, figures)


def never_empty(seen: Sequence[Observed]) -> Finding:
    """Whether every call that ended brought an answer, however small its limit."""
    good = [one for one in answered(seen) if one.finish in (Finish.STOP, Finish.LENGTH)]
    if not good:
        return failure("answer", seen, promise=True)
    empty = [one for one in good if one.empty]
    if not empty:
        return Finding("answer", Ruling.KEPT, f"All {len(good)} answers had text.", True)
    after = max(one.thought_spent for one in empty)
    where = f", once after {after} tokens of thought" if after else ""
    return Finding("answer", Ruling.BROKEN, f"{len(empty)} of {len(good)} answers were empty{where}.", True)


def of_route(
    route: Route, own: Sequence[Observed], cuts: Sequence[Cut], model: Mapping[str, Finding]
) -> tuple[Finding, Enforcement]:
    """Whether a route's name tells the truth, and how its budget is kept.

    own: its own questions in its own mode; cuts: the same with its budget beside no budget, where it has one; model:
    what was found of its model, by what it is about."""
    good = answered(own)
    if not good:
        return failure("route", own, promise=True), Enforcement.NONE
    if route.thinking_budget == 0:
        found = _off_of(good, model["off"])
    elif route.thinking_budget is None:
        thought = median(one.thought_spent for one in good)
        found = Finding("route", Ruling.KEPT, f"Thinks at its own length ({thought:g} tokens), and answers.", True)
    else:
        found = budget(cuts, thinks=True, about="route")
    how = Enforcement.NONE if found.ruling is Ruling.BROKEN else enforced_of(good)
    if empty := sum(one.empty for one in good):
        lost = f"{empty} of {len(good)} of its answers were empty."
        sentence = f"{found.sentence} {lost}" if found.ruling is Ruling.BROKEN else lost
        found = Finding("route", Ruling.BROKEN, sentence, True, found.figures)
    return found, how


def _off_of(good: Sequence[Observed], model: Finding) -> Finding:
    """Whether a route that promises no thought has none, in its answers and in its model's."""
    spent = max(one.thought_spent for one in good)
    if spent:
        return Finding("route", Ruling.BROKEN, f"Off is not off: {_tokens(spent)} of thought.", True)
    if model.ruling is Ruling.BROKEN:
        return Finding("route", Ruling.BROKEN, model.sentence, True)
    return Finding("route", Ruling.KEPT, f"Off: no thought in {len(good)} answers.", True)


def enforced(cuts: Sequence[Cut]) -> Enforcement:
    """How the budgets of these calls were kept: the weakest way among them."""
    return enforced_of([cut.bounded for cut in cuts])


def enforced_of(seen: Sequence[Observed]) -> Enforcement:
    """The weakest way in which these calls were kept to their budgets."""
    return max((one.enforced for one in seen), key=list(Enforcement).index, default=Enforcement.NONE)


def _tokens(count: float) -> str:
    return f"{count:,g} token{'' if count == 1 else 's'}"


def _listed(numbers: Sequence[int]) -> str:
    *first, last = [f"{one:,}" for one in numbers]
    return f"{', '.join(first)} and {last}" if first else last
