"""A ladder: what can be bought for a query, step by step, and the states that this leads through.

A *track* is one route's thought: it can be bought up to each of its budgets, and whole. A *state* is a tuple with a
level for each track: 0 nothing bought, then the budgets, then the whole answer (`top`). A thought that ended within the
budget bought is whole. From a state one may answer with any whole answer, or buy a later step of any track; a thought
bought before is continued, not restarted, so that only the difference is paid. A further sample of a route is a track
of its own, named `small#1`: a second opinion, which may be bought once the one before it is whole.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass, replace
from itertools import product
from typing import TypeAlias

from ..errors import BadRequest

State: TypeAlias = tuple[int, ...]

SAMPLE = "#"
"""Stands between a route's name and the number of a sample."""


@dataclass(frozen=True, slots=True)
class Track:
    """One route's answer and, where its thought may be cut, the budgets (tokens, ascending), each with its own route's
    name, and the track that answers instead of a cut thought (by its place, None: no budgets).

    capped: no more than the largest budget may be bought; the answer is whole only where the thought ended by then.
    resumes: the same, but an answer that is cut there may be given: it is gone on with to its end.
    after: the track (by its place) whose answer must be whole before: that of the sample before this one. None for a
    route's first answer."""

    route: str
    budgets: tuple[int, ...] = ()
    cuts: tuple[str, ...] = ()
    fallback: int | None = None
    capped: bool = False
    resumes: bool = False
    after: int | None = None

    @property
    def top(self) -> int:
        """The level of the whole answer."""
        return len(self.budgets) + 1

    @property
    def most(self) -> int:
        """The highest level that may be bought."""
        return self.top - 1 if self.capped or self.resumes else self.top

    def name(self, level: int) -> str:
        """The route that stands for this level."""
        return self.route if level == self.top else self.cuts[level - 1]


@dataclass(frozen=True, slots=True)
class Answer:
    """Give the caller this track's answer: it is whole, or it is gone on with to its end (Track.resumes)."""

    track: int


@dataclass(frozen=True, slots=True)
class Purchase:
    """Buy this track up to this level."""

    track: int
    level: int


Action: TypeAlias = Answer | Purchase


@dataclass(frozen=True, slots=True)
class Ladder:
    """Tracks, and the order in which they may be bought: with `ordered` only ever later ones (in the tracks' order).

    final: the tracks (by place) that the caller gets as they come: nothing follows such an answer; such a thought is
    only continued, or cut and answered by its fallback. Where an answer was begun and cut (Track.resumes) it is no
    short one that others could agree with: it is gone on with, or one of the final ones is bought."""

    tracks: tuple[Track, ...]
    ordered: bool = False
    final: tuple[int, ...] = ()

    @property
    def root(self) -> State:
        """Nothing bought."""
        return (0,) * len(self.tracks)

    def states(self) -> list[State]:
        """Every state, those with most bought first: what an action leads to always stands before it."""
        levels = product(*(range(track.top + 1) for track in self.tracks))
        return sorted(filter(self._possible, levels), key=lambda state: (-sum(state), state))

    def done(self, state: State) -> tuple[int, ...]:
        """The tracks whose answer is whole."""
        return tuple(i for i, track in enumerate(self.tracks) if state[i] == track.top)

    def open(self, state: State) -> tuple[int, ...]:
        """The tracks whose thought was bought in part and has not ended."""
        return tuple(i for i, track in enumerate(self.tracks) if 0 < state[i] < track.top)

    def begun(self, state: State) -> tuple[int, ...]:
        """Of the open tracks those whose answer may be gone on with."""
        return tuple(i for i in self.open(state) if self.tracks[i].resumes)

    def actions(self, state: State) -> tuple[Action, ...]:
        """Answers first, then purchases, in the tracks' order."""
        if (given := self.given(state)) is not None:
            return (given,)
        if (shown := self.shown(state)) is not None:
            return self._after_shown(state, shown)
        first = max((i for i, level in enumerate(state) if level), default=0) if self.ordered else 0
        begun = self.begun(state)
        answers = [Answer(i) for i in sorted((*self.done(state), *begun))]
        purchases = [
            Purchase(i, level)
            for i, track in enumerate(self.tracks)
            if i >= first or self._is_fallback(i, state)
            if self._may_begin(i, state) and (not begun or i in self.final)
            for level in range(state[i] + 1, track.most + 1)
        ]
        return (*answers, *purchases)

    def given(self, state: State) -> Answer | None:
        """The answer that the caller has got already, as it came; None where there is none."""
        return next((Answer(i) for i in self.final if state[i] == self.tracks[i].top), None)

    def after(self, state: State, bought: Purchase, *, ended: bool) -> State:
        """The state that a purchase leads to; ended: whether the thought ended within the level bought."""
        level = self.tracks[bought.track].top if ended else bought.level
        return (*state[: bought.track], level, *state[bought.track + 1 :])

    def towards(self, name: str) -> Purchase:
        """What to buy for the route of this name. Raises BadRequest for an unknown one."""
        for i, track in enumerate(self.tracks):
            if track.resumes and track.route == name:
                return Purchase(i, track.top)
            for level in range(1, track.most + 1):
                if track.name(level) == name:
                    return Purchase(i, level)
        raise BadRequest(f"The ladder has no route {name!r}; it has {', '.join(self.names())}.", field="ladder")

    def names(self) -> list[str]:
        """Every route that the ladder can buy, and every further sample."""
        return [track.name(level) for track in self.tracks for level in range(1, track.most + 1)]

    def routes(self) -> list[str]:
        """The routes among them."""
        first = [track for track in self.tracks if track.after is None]
        return [track.name(level) for track in first for level in range(1, track.most + 1)]

    def shown(self, state: State) -> int | None:
        """The track (by its place) of which the caller has the beginning of a thought; None where there is none."""
        return next((i for i in self.open(state) if i in self.final), None)

    def instead(self, track: int, state: State) -> Action:
        """What answers where this track's thought is cut: its fallback, bought first if it was not."""
        fallback = self.tracks[track].fallback
        assert fallback is not None
        top = self.tracks[fallback].top
        return Answer(fallback) if state[fallback] == top else Purchase(fallback, top)

    def _after_shown(self, state: State, track: int) -> tuple[Action, ...]:
        """Cut the thought that the caller sees, or go on with it."""
        levels = range(state[track] + 1, self.tracks[track].most + 1)
        return (self.instead(track, state), *(Purchase(track, level) for level in levels))

    def _possible(self, state: State) -> bool:
        """Whether a state can be: where an answer is begun, nothing was bought after it but what streams; no sample
        without the one before it."""
        if not all(self._may_begin(i, state) for i, level in enumerate(state) if level):
            return False
        begun = self.begun(state)
        return not begun or not any(level and i > begun[0] and i not in self.final for i, level in enumerate(state))

    def _may_begin(self, track: int, state: State) -> bool:
        """Whether the sample before this one, where there is one, has answered."""
        before = self.tracks[track].after
        return before is None or state[before] == self.tracks[before].top

    def _is_fallback(self, track: int, state: State) -> bool:
        """Whether a cut thought that is open waits for this track's answer."""
        return any(self.tracks[i].fallback == track for i in self.open(state))


@dataclass(frozen=True, slots=True)
class Fixed:
    """A fixed route by its place on the ladder: what to buy, and whose answer stands in for a thought cut there."""

    name: str
    purchase: Purchase
    fallback: int | None


def fixed_route(ladder: Ladder, name: str) -> Fixed:
    """A fixed route of the ladder. Raises BadRequest for an unknown name."""
    purchase = ladder.towards(name)
    track = ladder.tracks[purchase.track]
    return Fixed(name, purchase, track.fallback if purchase.level < track.top else None)


def default_action(ladder: Ladder, reference: Fixed, state: State) -> Action:
    """What the best fixed route would do in this state: go on to its own level, answer, or let its fallback answer.
    Nothing but the answer that was given as it came, where one was; a thought of another route that the caller sees is
    thought to its end."""
    if (given := ladder.given(state)) is not None:
        return given
    if (shown := ladder.shown(state)) is not None and shown != reference.purchase.track:
        most = ladder.tracks[shown].most
        return Purchase(shown, most) if state[shown] < most else ladder.instead(shown, state)
    track, level = reference.purchase.track, reference.purchase.level
    if state[track] == ladder.tracks[track].top:
        return Answer(track)
    if state[track] < level:
        return reference.purchase
    fallback = reference.fallback if reference.fallback is not None else track
    top = ladder.tracks[fallback].top
    return Answer(fallback) if state[fallback] == top else Purchase(fallback, top)


def state_actions(ladder: Ladder, reference: Fixed, state: State) -> tuple[Action, ...]:
    """The ladder's actions, and last, if the order forbids it, going on as the best fixed route would."""
    actions, default = ladder.actions(state), default_action(ladder, reference, state)
    return actions if default in actions else (*actions, default)


def serving_ladder(
    routes: Sequence[str], reference: str, cap: int | None = None, resumes: Collection[str] = ()
) -> Ladder:
    """The ladder that is gone up while serving, in this order: the answers of the best fixed route and of the last
    route stream; the others are bought whole, or, if they are among `resumes`, up to `cap` tokens (None: whole) and
    gone on with where they are chosen."""
    ladder = Ladder(tuple(Track(route) for route in routes), ordered=True)
    ladder = streamed(ladder, fixed_route(ladder, reference))
    if cap is None:
        return ladder
    bought = [
        track
        if place in ladder.final or track.route not in resumes
        else Track(track.route, (cap,), (track.route,), resumes=True)
        for place, track in enumerate(ladder.tracks)
    ]
    return replace(ladder, tracks=tuple(bought))


def streamed(ladder: Ladder, reference: Fixed) -> Ladder:
    """The same ladder where the best fixed route and the last one stream to the caller, as they do while serving."""
    last = max(place for place, track in enumerate(ladder.tracks) if track.after is None)
    return replace(ladder, final=tuple(sorted({reference.purchase.track, last})))


def cheapest_first(tracks: Sequence[Track], order: Sequence[str]) -> Ladder:
    """The ladder of the tracks whose routes are named, bought in this order, up to no level but those named.

    Raises BadRequest for unknown names, or where a fallback of a budget or the sample before another is left out."""
    whole = Ladder(tuple(tracks))
    places = list(dict.fromkeys(whole.towards(name).track for name in order))
    named = set(order)
    kept: list[Track] = []
    for place in places:
        track = tracks[place]
        cuts = [(b, c) for b, c in zip(track.budgets, track.cuts, strict=True) if c in named]
        if cuts and track.fallback not in places:
            missing = tracks[track.fallback].route if track.fallback is not None else "?"
            raise BadRequest(f"The budgets of {track.route!r} fall back to {missing!r}: name it too.", field="ladder")
        if track.after is not None and track.after not in places[: len(kept)]:
            before = tracks[track.after].route
            raise BadRequest(f"{track.route!r} is bought after {before!r}: name that before it.", field="ladder")
        fallback = places.index(track.fallback) if cuts and track.fallback is not None else None
        after = None if track.after is None else places.index(track.after)
        budgets, names = tuple(b for b, _ in cuts), tuple(c for _, c in cuts)
        kept.append(Track(track.route, budgets, names, fallback, capped=track.route not in named, after=after))
    return Ladder(tuple(kept), ordered=True)
