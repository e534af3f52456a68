"""Generation in this process: a sampling loop over a model's cache that keeps a thinking budget to the token.

One step, one token. In the thought, the mark that closes it is put in after the last token of the budget, or where
the model would end its turn; in the answer, the marks cannot be drawn, nor the end before there is any text.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from enum import Enum
from typing import TYPE_CHECKING, Any, cast

from ..domain import Finish, Sampling
from .transformers_budget import Plan
from .transformers_prompt import Marks

if TYPE_CHECKING:
    import torch

_PREFILL = 512
"""Tokens of prompt read at a time: between two of them a call can be stopped."""

_BLANK = 16
"""Blank tokens that an answer may begin with; after them, and where only one token is left, the next is text."""


class Part(Enum):
    """What a token belongs to. A mark counts as thought and the end as answer; neither is text."""

    THOUGHT = "thought"
    MARK = "mark"
    ANSWER = "answer"
    END = "end"


@dataclass(frozen=True, slots=True)
class Step:
    """One token that was generated, with its log-probability (natural, before temperature and bans) and the best
    alternatives by id, where asked for."""

    token: int
    part: Part
    logprob: float | None = None
    top: tuple[tuple[int, float], ...] = ()


@dataclass(frozen=True, slots=True)
class Vocabulary:
    """The token ids that steer generation. blank: whether a token is no visible text."""

    ends: frozenset[int]
    marks: Marks | None
    blank: Callable[[int], bool]


class Forward:
    """A causal model and the cache of one call: token ids in, the scores of the next token out, (vocabulary,)."""

    def __init__(self, model: Any) -> None:
        self._model = model
        known = inspect.signature(model.forward).parameters
        self._cache_name = "cache" if "cache" in known else "past_key_values"  # its name before transformers 5.2x
        self._settings = {"logits_to_keep": 1} if "logits_to_keep" in known else {}
        self._cache: Any = None

    def __call__(self, ids: Sequence[int]) -> torch.Tensor:
        import torch

        with torch.inference_mode():
            tokens = torch.tensor([list(ids)], device=self._model.device)
            settings = {**self._settings, self._cache_name: self._cache}
            output = self._model(input_ids=tokens, use_cache=True, **settings)
            self._cache = output[self._cache_name]
            return cast("torch.Tensor", output.logits)[0, -1].float()


class Sampler:
    """Draws tokens. Without a temperature, or with 0, the likeliest; otherwise temperature, top_k, top_p and min_p
    apply in this order, with the call's seed or a random one. Penalties come first: repetition over prompt and reply
    (CTRL, arXiv:1909.05858), presence and frequency over the reply, as OpenAI defines them."""

    def __init__(self, sampling: Sampling, prompt: Sequence[int], device: Any) -> None:
        import torch

        self._sampling = sampling
        self._prompt = frozenset(prompt)
        self._counts: dict[int, int] = {}
        self._random = torch.Generator(device=device)
        if sampling.seed is None:
            self._random.seed()
        else:
            self._random.manual_seed(sampling.seed & 0x7FFF_FFFF_FFFF_FFFF)

    def draw(self, scores: torch.Tensor, banned: frozenset[int]) -> int:
        """A token for these scores (vocabulary,), which are not changed; never one of `banned`."""
        import torch

        with torch.inference_mode():
            scores = self._penalised(scores.clone())
            if banned:
                scores[list(banned)] = -torch.inf
            if not self._sampling.temperature:
                return int(scores.argmax())
            chances = self._kept(scores / self._sampling.temperature).softmax(-1)
            return int(torch.multinomial(chances, 1, generator=self._random))

    def count(self, token: int) -> None:
        """Take note of a token of the reply, for the penalties."""
        self._counts[token] = self._counts.get(token, 0) + 1

    def _penalised(self, scores: torch.Tensor) -> torch.Tensor:
        sampling = self._sampling
        if (factor := sampling.repetition_penalty) not in (None, 1.0):
            seen = list(self._prompt | self._counts.keys())
            held = scores[seen]
            scores[seen] = held.where(held < 0, held / factor).where(held >= 0, held * factor)
        for token, count in self._counts.items() if sampling.presence_penalty or sampling.frequency_penalty else ():
            scores[token] -= (sampling.presence_penalty or 0.0) + count * (sampling.frequency_penalty or 0.0)
        return scores

    def _kept(self, scores: torch.Tensor) -> torch.Tensor:
        """The scores with -inf for what top_k, top_p and min_p leave out."""
        import torch

        sampling = self._sampling
        if sampling.top_k:
            least = scores.topk(min(sampling.top_k, scores.numel())).values[-1]
            scores = scores.masked_fill(scores < least, -torch.inf)
        if sampling.top_p is not None and sampling.top_p < 1:
            ordered, order = scores.sort(descending=True)
            before = ordered.softmax(-1).cumsum(-1) - ordered.softmax(-1)  # 0 for the likeliest: it always stays
            scores = scores.index_fill(0, order[before > max(sampling.top_p, 0.0)], -torch.inf)
        if sampling.min_p:
            chances = scores.softmax(-1)
            scores = scores.masked_fill(chances < sampling.min_p * chances.max(), -torch.inf)
        return scores


class _Phase(Enum):
    START = "start"  # the model may open a thought, or answer
    THOUGHT = "thought"
    ANSWER = "answer"


class Generation:
    """The steps of one plan. `finish`, `ended` (the thought, by itself, not cut), `cut` (the reply, to be gone on with)
    and `used` (tokens) are known when they are over."""

    def __init__(self, forward: Forward, vocabulary: Vocabulary, plan: Plan, sampler: Sampler) -> None:
        self._forward, self._vocabulary, self._plan, self._sampler = forward, vocabulary, plan, sampler
        self._phase = _Phase.THOUGHT if plan.opened else _Phase.START if plan.may_open else _Phase.ANSWER
        self._most = plan.total + 1 if plan.answer is None else plan.answer  # of the answer alone
        self._thought: int = 0
        self._answer: int = 0
        self._blank: int = 0  # of the answer, at its beginning
        self.finish = Finish.CANCELLED
        self.ended = False
        self.cut = False
        self.used = 0

    def steps(self, stopped: Callable[[], bool], logprobs: int | None = None) -> Iterator[Step]:
        """The tokens as they come, computed in the calling thread; `stopped` is asked before each.

        logprobs: how many alternatives to give with each token; None: no log-probabilities."""
        scores = self._read(self._plan.prompt, stopped)
        while scores is not None and not stopped():
            token = self._next(scores)
            yield self._taken(token, scores, logprobs)
            if self._over(token):
                return
            scores = self._forward([token])

    def _read(self, prompt: Sequence[int], stopped: Callable[[], bool]) -> torch.Tensor | None:
        """The scores after the prompt; None where the call was stopped on the way."""
        scores = None
        for start in range(0, len(prompt), _PREFILL):
            if stopped():
                return None
            scores = self._forward(prompt[start : start + _PREFILL])
        return scores

    def _next(self, scores: torch.Tensor) -> int:
        """The next token: drawn, or the mark that ends the thought."""
        marks, ends = self._vocabulary.marks, self._vocabulary.ends
        if marks is not None and self._phase is _Phase.THOUGHT:
            # Of the total, one token is kept for the mark and one for the answer, if there is to be one.
            over = not self._plan.resumable and self.used >= self._plan.total - 2
            if self._thought >= self._plan.thought or over:
                return marks.close
            token = self._sampler.draw(scores, frozenset((marks.open,)))
            self.ended = token == marks.close or token in ends
            return marks.close if self.ended else token
        banned = set(ends) if self._answer == self._blank else set[int]()
        if marks is not None:
            banned |= {marks.close} if self._phase is _Phase.START else {marks.open, marks.close}
        token = self._sampler.draw(scores, frozenset(banned))
        while self._needs_text() and self._vocabulary.blank(token) and len(banned) < scores.numel() - 1:
            banned.add(token)
            token = self._sampler.draw(scores, frozenset(banned))
        return token

    def _needs_text(self) -> bool:
        """Whether the answer would otherwise stay blank."""
        ends = not self._plan.resumable and self._plan.total - self.used <= 1
        last = ends or self._most - self._answer <= 1
        return self._answer == self._blank and (last or self._blank >= _BLANK)

    def _taken(self, token: int, scores: torch.Tensor, logprobs: int | None) -> Step:
        """The token as a step, counted, and the phase moved on."""
        marks = self._vocabulary.marks
        self._sampler.count(token)
        self.used += 1
        if marks is not None and token in (marks.open, marks.close):
            part, self._phase = Part.MARK, _Phase.THOUGHT if token == marks.open else _Phase.ANSWER
        elif self._phase is _Phase.THOUGHT:
            part = Part.THOUGHT
            self._thought += 1
        else:
            part = Part.END if token in self._vocabulary.ends else Part.ANSWER
            self._blank += self._answer == self._blank and self._vocabulary.blank(token)
            self._answer += 1
            if self._answer > self._blank:
                self._phase = _Phase.ANSWER
        if logprobs is None:
            return Step(token, part)
        chances = scores.log_softmax(-1)
        best = chances.topk(min(logprobs, chances.numel()))
        top = tuple((int(best.indices[at]), float(best.values[at])) for at in range(best.values.numel()))
        return Step(token, part, float(chances[token]), top)

    def _over(self, token: int) -> bool:
        """Whether the reply is complete with this token, and then why."""
        if self._phase is _Phase.THOUGHT and not self._plan.resumable:
            return False
        if token in self._vocabulary.ends:
            self.finish = Finish.STOP
            return True
        if self._answer >= self._most:
            self.finish = Finish.LENGTH
        elif self.used >= self._plan.total:
            self.finish, self.cut = Finish.LENGTH, self._plan.resumable
        return self.finish is Finish.LENGTH
