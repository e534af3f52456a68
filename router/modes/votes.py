"""Votes: a question is asked several times, and what most samples say is the answer.

`vote(n)` stops as soon as no other answer can overtake the leading one, and asks for no sample that the leader might
not need; so it answers as if all n had been asked. `first(m,n)` starts n at once and takes the first m that finish, as
short thoughts are likelier to be right than long ones of the same question (arXiv:2505.17813)."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Sequence
from dataclasses import replace

from ...backends.sampling import merged
from ...classifiers.answers import normal_form
from ...domain import Call
from .calls import Answer, Reply, Steps
from .loops import VARIED

ALIKE = "temperature 0: every sample would be the same, so one was asked for"


class Tally:
    """The votes so far, of `total` that there will be. Of several answers with most votes, the one that had so many
    first leads."""

    def __init__(self, total: int) -> None:
        self.total = total
        self.heard = 0
        self._votes = Counter[str]()
        self._first: dict[str, int] = {}
        self._leader: str | None = None

    def add(self, reply: Reply) -> None:
        """One more; what is no answer that can be compared counts for none."""
        self.heard += 1
        form = form_of(reply)
        if form is None:
            return
        self._votes[form] += 1
        self._first.setdefault(form, reply.number)
        if self._leader is None or self._votes[form] > self._votes[self._leader]:
            self._leader = form

    @property
    def lead(self) -> int:
        """By how many votes the leader is ahead of the next."""
        most = [votes for _, votes in self._votes.most_common(2)]
        return most[0] - (most[1] if len(most) > 1 else 0) if most else 0

    @property
    def needed(self) -> int:
        """The least number of further votes that may decide it; 0 once it is decided."""
        left = self.total - self.heard
        return max(0, (left - self.lead + 1) // 2) if self._leader is not None else (left + 1) // 2

    @property
    def winner(self) -> int | None:
        """The number of the first reply that says what the leader says; None where nothing was said."""
        return None if self._leader is None else self._first[self._leader]

    def note(self) -> str | None:
        """What a caller should know: that no answer was given twice."""
        most = self._votes.most_common(1)
        lone = len(self._votes) > 1 and most[0][1] == 1
        return f"no two of {sum(self._votes.values())} samples agreed: the first was given" if lone else None


def vote(query: Call, numbers: Sequence[int]) -> Steps:
    """Ask up to n times."""
    samples = _samples(query, numbers[0])
    tally, replies, started = Tally(len(samples)), list[Reply](), 0
    while tally.needed:
        more = samples[started : started + tally.needed - (started - tally.heard)]
        started += len(more)
        reply = yield more
        replies.append(reply)
        tally.add(reply)
    return _answer(tally, replies, alone=len(samples) < numbers[0])


def first(query: Call, numbers: Sequence[int]) -> Steps:
    """Ask n times at once, and take the first m that finish."""
    wanted, samples = numbers[0], _samples(query, numbers[1])
    tally, replies = Tally(min(wanted, len(samples))), list[Reply]()
    asked = samples
    while tally.needed and len(replies) < len(samples):
        reply = yield asked
        asked = ()
        replies.append(reply)
        if form_of(reply) is not None:  # what failed has not finished
            tally.add(reply)
    return _answer(tally, replies, alone=len(samples) < numbers[1])


def form_of(reply: Reply) -> str | None:
    """What two replies must share to agree: the answer's normal form, or the tools called and with what. None where it
    is unfinished, failed or empty."""
    if not reply.whole:
        return None
    if reply.tools:
        return json.dumps([(name, _read(arguments)) for name, arguments in reply.tools], sort_keys=True)
    return normal_form(reply.text, "free_text")


def _read(arguments: str) -> object:
    try:
        return json.loads(arguments)
    except ValueError:
        return arguments


def _samples(query: Call, count: int) -> tuple[Call, ...]:
    """The calls, each with its own seed where the caller gave one; one alone where chance has no say."""
    sampling = merged(query.sampling, VARIED)
    if sampling.temperature == 0 or sampling.top_k == 1:
        return (query,)
    seeds = [None if sampling.seed is None else sampling.seed + i for i in range(count)]
    return tuple(replace(query, sampling=replace(sampling, seed=seed)) for seed in seeds)


def _answer(tally: Tally, replies: Sequence[Reply], *, alone: bool) -> Answer:
    """The leader's; where nobody could be compared, the first that said anything."""
    chosen = tally.winner
    if chosen is None:
        chosen = next((r.number for r in replies if r.error is None and (r.text.strip() or r.tools)), None)
    notes = [ALIKE] if alone else [note] if (note := tally.note()) is not None else []
    return Answer(() if chosen is None else (chosen,), () if chosen is None else (chosen,), notes=tuple(notes))
