"""From generated tokens to events: whole characters only, thought and answer apart, stop sequences watched.

The blank lines round the marks belong to neither side, so a piece's leading and trailing blanks are held back until
it is known what follows; the tokens of what is held back are counted with the next piece.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence

from ..domain import Usage
from .engine import Event, Text, Thought, TokenLogprob
from .stops import StopWatch
from .transformers_generation import Part, Step
from .transformers_prompt import Tokenizer

_INCOMPLETE = "\N{REPLACEMENT CHARACTER}"

_LONGEST = 4
"""Bytes of the longest character: more tokens than this that end in no whole one never will."""


class Writer:
    """Turns one call's steps into events, and counts them.

    prompt: its last tokens are the context that the first piece is decoded in (some tokenizers drop the space that
    begins a text). continued: the parts that go on from a prefix, whose leading blanks therefore stay."""

    def __init__(
        self, tokenizer: Tokenizer, prompt: Sequence[int], stop: Sequence[str], *, continued: Collection[Part] = ()
    ) -> None:
        self._tokenizer = tokenizer
        self._watch = StopWatch(stop)
        self._thought = _Column(tokenizer, prompt, trim=Part.THOUGHT not in continued)
        self._answer = _Column(tokenizer, prompt, trim=Part.ANSWER not in continued)
        self._marks = self._thought_tokens = self._answer_tokens = 0

    @property
    def stopped(self) -> bool:
        """Whether a stop sequence was met: nothing more will be written."""
        return self._watch.stopped

    @property
    def thought(self) -> str:
        """The thought so far as it was generated, blanks included."""
        return self._thought.written

    def usage(self, prompt: int) -> Usage:
        """The tokens so far, by kind."""
        return Usage(prompt=prompt, thought=self._thought_tokens + self._marks, answer=self._answer_tokens)

    def feed(self, step: Step) -> Iterator[Event]:
        """The events that this step completes: one or none."""
        if step.part is Part.MARK:
            self._marks += 1
        elif step.part is Part.THOUGHT:
            self._thought_tokens += 1
            ready = self._thought.add(step, self._named(step))
            kept = ready.rstrip()
            self._thought.hold(ready[len(kept) :])
            if kept:
                yield Thought(kept, *self._thought.spent())
        elif step.part is Part.END:
            self._answer_tokens += 1
        else:
            self._answer_tokens += 1
            yield from self._certain(self._answer.add(step, self._named(step)))

    def rest(self) -> Iterator[Event]:
        """What was held back, as the reply is over; not to be asked for where it will be gone on with, as the next call
        makes anew what was cut in the middle of a character or of a stop sequence."""
        if thought := self._thought.rest().rstrip():
            yield Thought(thought, *self._thought.spent())
        yield from self._certain(self._answer.rest())
        if (held := self._watch.flush()) is not None:
            yield held

    def _certain(self, answer: str) -> Iterator[Text]:
        """What of the answer is certain with this further text."""
        if answer and (piece := self._watch.feed(Text(answer, *self._answer.spent()))) is not None:
            yield piece

    def _named(self, step: Step) -> TokenLogprob | None:
        if step.logprob is None:
            return None
        top = tuple((_decoded(self._tokenizer, [token]), value) for token, value in step.top)
        return TokenLogprob(_decoded(self._tokenizer, [step.token], special=True), step.logprob, top)


class _Column:
    """The text of one part, and the tokens that its next event stands for."""

    def __init__(self, tokenizer: Tokenizer, prompt: Sequence[int], *, trim: bool) -> None:
        self._tokenizer = tokenizer
        self._ids = list(prompt[-8:])
        self._read = len(self._ids)
        self._trim = trim
        self._held = ""
        self._tokens = 0
        self._logprobs: list[TokenLogprob] = []
        self.written = ""

    def add(self, step: Step, logprob: TokenLogprob | None) -> str:
        """The text that is complete with this token, what was held back before it."""
        self._tokens += 1
        if logprob is not None:
            self._logprobs.append(logprob)
        self._ids.append(step.token)
        return self._released(self._decode(whole=False))

    def hold(self, text: str) -> None:
        """Keep text back for the next piece."""
        self._held = text

    def rest(self) -> str:
        """All that is left, characters cut short included."""
        return self._released(self._decode(whole=True))

    def spent(self) -> tuple[int, tuple[TokenLogprob, ...]]:
        """Count and log-probabilities of the tokens since the last event."""
        counted = self._tokens, tuple(self._logprobs)
        self._tokens, self._logprobs = 0, []
        return counted

    def _decode(self, *, whole: bool) -> str:
        before = _decoded(self._tokenizer, self._ids[: self._read])
        text = _decoded(self._tokenizer, self._ids)
        waiting = text.endswith(_INCOMPLETE) and len(self._ids) - self._read < _LONGEST
        if len(text) <= len(before) or (waiting and not whole):
            return ""
        self._ids = self._ids[self._read :]
        self._read = len(self._ids)
        return text[len(before) :]

    def _released(self, text: str) -> str:
        self.written += text
        text, self._held = self._held + text, ""
        if self._trim:
            text = text.lstrip()
            self._trim = not text
        return text


def _decoded(tokenizer: Tokenizer, ids: Sequence[int], *, special: bool = False) -> str:
    return tokenizer.decode(list(ids), skip_special_tokens=not special, clean_up_tokenization_spaces=False)
