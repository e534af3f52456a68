"""Early exit: the model thinks a piece, is asked for a trial answer, and thinks on only while its answers still change.

The thought is cut every `tokens` tokens and closed for a short trial answer, aside: the thought itself goes on from
where it was. `times` trial answers in a row that say the same end it (Dynasor, arXiv:2412.20993; DEER,
arXiv:2504.15895). Where the model's confidence in its trial answers has decayed and stays so, going on is given up, and
the trial that it was surest of is the answer (after CoDE-Stop, arXiv:2604.04930)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from ...backends import allot
from ...domain import Call, Finish, Purpose
from ..buying import rest_of
from .calls import Answer, Reply, Steps
from .votes import form_of

TRIAL = 32
"""Most tokens of a trial answer."""
CUE = "**Final answer:** "
"""How a trial answer begins where the model, left to itself, does not come to its answer within `TRIAL` tokens."""
MOST = 64
"""Trials in one thought; a longer one goes on without."""
PATIENCE, DECAYED = 4, 0.5
"""Given up: the last `PATIENCE` trials were all less than `DECAYED` times as probable as the best before them."""


@dataclass(frozen=True, slots=True)
class Trial:
    """A trial answer. form: what it says (None: it cannot be told); thoughts: the calls whose thought it rests on;
    closing: the call that answers for good from there; cued: whether its beginning was given."""

    reply: Reply
    form: str | None
    thoughts: tuple[int, ...]
    closing: Call
    cued: bool


class Course:
    """The trial answers of one thought, in order. times: so many in a row that say the same are enough."""

    def __init__(self, times: int) -> None:
        self.times = times
        self.trials: list[Trial] = []

    @property
    def stable(self) -> bool:
        """Whether the last trials all say the same."""
        last = [trial.form for trial in self.trials[-self.times :]]
        return len(last) == self.times and last[0] is not None and len(set(last)) == 1

    @property
    def hopeless(self) -> bool:
        """Whether the confidence has decayed."""
        known = [trial.reply.probability for trial in self.trials if trial.reply.probability is not None]
        before, last = known[:-PATIENCE], known[-PATIENCE:]
        return bool(before) and all(one < DECAYED * max(before) for one in last)

    @property
    def surest(self) -> Trial:
        """The first trial of the greatest confidence, of those that say something."""
        able = [trial for trial in self.trials if trial.form is not None] or self.trials
        return max(able, key=lambda trial: trial.reply.probability or 0.0)


def early_exit(query: Call, numbers: Sequence[int]) -> Steps:
    """Think in pieces of so many tokens, until so many trial answers agree. The query's thinking budget and its limit
    of tokens bind the whole of it."""
    tokens, times = numbers
    most = allot(query.thinking_budget, query.max_tokens).thought
    course, going, thoughts, spent = Course(times), query, list[int](), 0
    while len(thoughts) < MOST and (most is None or most - spent > tokens):
        piece = yield replace(going, max_tokens=tokens, resumable=True)
        if piece.error is not None:
            return _what_there_is(course, thoughts)
        thoughts.append(piece.number)
        spent += piece.usage.thought
        if piece.finish is not Finish.LENGTH:
            return Answer((piece.number,), tuple(thoughts))
        rest = rest_of(going, piece.thought, piece.text, piece.usage, ended=piece.ended)
        if rest is None:  # it cannot be gone on with: asked anew, in one go
            return (yield from _whole(query, ()))
        if piece.ended or piece.text.strip():
            return (yield from _whole(rest, tuple(thoughts), piece.number))
        going = rest
        yield from _try(course, going, tuple(thoughts))
        if course.stable:
            return (yield from _given(course.trials[-1]))
        if course.hopeless:
            note = f"thought given up after {spent} tokens: its trial answers grew unsure"
            return (yield from _given(course.surest, note))
    return (yield from _whole(going, tuple(thoughts)))


def _try(course: Course, going: Call, thoughts: tuple[int, ...]) -> Steps:
    """Ask for a trial answer; one that failed tells nothing. Cued once an answer without did not end in time."""
    cued = any(trial.cued or trial.reply.finish is Finish.LENGTH for trial in course.trials)
    closing = replace(going, thinking_budget=0)
    limit = TRIAL if going.max_tokens is None else min(TRIAL, going.max_tokens)
    cue = CUE if cued else ""
    reply = yield replace(
        closing,
        purpose=Purpose.PROBE,
        answer_prefix=closing.answer_prefix + cue,
        max_tokens=limit,
        logprobs=closing.logprobs or 0,
    )
    if reply.error is None:
        told = replace(reply, text=cue + reply.text, finish=Finish.STOP if cued else reply.finish)
        course.trials.append(Trial(reply, form_of(told), thoughts, closing, cued))
    return Answer(())


def _given(trial: Trial, *notes: str) -> Steps:
    """This trial's answer, in full: it is one already, or the model answers from there."""
    if trial.reply.whole and not trial.cued:
        return Answer((trial.reply.number,), trial.thoughts, cut=True, notes=notes)
    reply = yield trial.closing
    chosen = trial.reply if reply.error is not None else reply
    return Answer((chosen.number,), trial.thoughts, cut=True, notes=notes)


def _whole(call: Call, thoughts: tuple[int, ...], *begun: int) -> Steps:
    """The rest in one go. begun: the calls that the answer began in."""
    reply = yield call
    if reply.error is not None:
        return Answer(())
    return Answer((*begun, reply.number), (*thoughts, reply.number))


def _what_there_is(course: Course, thoughts: Sequence[int]) -> Answer:
    """Where the thought broke off: the last trial that is an answer."""
    for trial in reversed(course.trials):
        if trial.reply.whole and not trial.cued:
            note = "the thought broke off: this is its last trial answer"
            return Answer((trial.reply.number,), trial.thoughts, cut=True, notes=(note,))
    return Answer(())
