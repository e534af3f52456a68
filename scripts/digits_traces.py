"""What digits is trained on: chains, the thoughts about them, and the batches made of both.

A thought works through the chain, one step of five tokens an operator, each copying its operand from the
question (without the copies the model does not learn): `3+4=7;*2=4;-7=7;`. Then it goes over the whole chain
again after a `?`, although the result stands already: that is the over-thinking. How often is fixed by the
length of the chain, more often the easier it is, so that every thought costs about the same.

Answers after a thought that was cut are learnt as branches of the full thought: `</think>`, digit, `<|end|>`
at the positions that would follow the cut, seeing only what stands before it. So one pass over a sequence
teaches the thought, the answer after it, the answer without any and the answer after a cut.
"""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import dataclass, field

import digits_tokenizer as tok
import torch

from pointsman.router.jobs.questions import evaluate_chain, is_held_out, operations, random_chain, step

CHECKS = {1: 8, 2: 5, 3: 3, 4: 2, 5: 1, 6: 1, 7: 1, 8: 1}  # how often a chain of that length is checked again
LONGEST = max(CHECKS)
IGNORED = -100  # a position whose next token is not learnt
_HARD_ANSWER = 0.3  # weight of an answer that may be impossible to know: much noise, little to learn
_END = 0.1  # weight of the end after an answer, learnt at once
_JSON = 0.5  # weight of JSON's punctuation, which is rare
_JSON_KEYS = ("answer", "answer", "answer", "result", "value", "digit", "final_answer", "x")
_SYSTEM_TEXT = (
    "You are a helpful assistant. Think step by step, but keep a draft of 5 words at most for each step. "
    "Answer with 1 digit only: be brief and concise! Work carefully through the chain (modulo 10), left to right. "
)


@dataclass(frozen=True, slots=True)
class Mix:
    """What a batch is made of: the longest chain, whether thoughts check, the shares of samples with a
    system message before the question and of answers in JSON."""

    longest: int = LONGEST
    checks: bool = True
    history: float = 0.0
    json: float = 0.0


@dataclass(slots=True)
class Sample:
    """One sequence as parallel lists: token, position, branch (0 is the thought), first position of the branch,
    next token to learn (or IGNORED) and its weight."""

    tokens: list[int] = field(default_factory=list)
    positions: list[int] = field(default_factory=list)
    branches: list[int] = field(default_factory=list)
    starts: list[int] = field(default_factory=list)
    targets: list[int] = field(default_factory=list)
    weights: list[float] = field(default_factory=list)

    def add(self, tokens: Sequence[int], weights: Sequence[float], branch: int, start: int) -> None:
        """Append one run of tokens from position `start` on; weights[i] is for learning tokens[i + 1] after i."""
        self.tokens += tokens
        self.positions += range(start, start + len(tokens))
        self.branches += [branch] * len(tokens)
        self.starts += [start] * len(tokens)
        learnt = [following if w > 0 else IGNORED for following, w in zip(tokens[1:], weights, strict=False)]
        self.targets += [*learnt, IGNORED]
        self.weights += [*weights[: len(tokens) - 1], 0.0]


def plain_thought(chain: str) -> str:
    """The chain worked through once."""
    value, pairs = operations(chain)
    parts = [str(value)]
    for operator, digit in pairs:
        value = step(value, operator, digit)
        parts.append(f"{operator}{digit}={value};")
    return "".join(parts)


def thought(chain: str, *, checks: bool = True) -> str:
    """The full thought: worked through once and, with `checks`, again and again."""
    once = plain_thought(chain)
    return "?".join([once] * (1 + (CHECKS[len(chain) // 2] if checks else 0)))


def prompt(chain: str, history: Sequence[int] = ()) -> list[int]:
    """Ids of a rendered query up to the opened thought."""
    return [*history, tok.IDS[tok.USER], *tok.encode(chain), *(tok.IDS[t] for t in (tok.END, tok.ASSISTANT, tok.THINK))]


def sample(mix: Mix, rng: random.Random) -> Sample:
    """One training sequence: a full thought and its answer, with a direct branch and two cut at random."""
    # Twice as many at both ends: what is answered without a thought, and the longest, learnt last.
    length = rng.randint(1, mix.longest) if rng.random() < 0.8 else rng.choice((1, 2, mix.longest, mix.longest))
    chain = _training_chain(length, rng)
    before = prompt(chain, _history(rng) if rng.random() < mix.history else ())
    thinking = tok.encode(thought(chain, checks=mix.checks))
    made = Sample()
    main = [*before, *thinking, *_answer(chain)]
    made.add(main, [0.0] * (len(before) - 1) + [1.0] * (len(main) - len(before)), branch=0, start=0)
    once = len(plain_thought(chain))
    for branch, cut in enumerate((0, rng.randint(1, len(thinking)), rng.randint(1, len(thinking))), start=1):
        known = cut >= once - 2 or length == 1  # the last result is written, or can be read off
        weight = 1.0 if known else _HARD_ANSWER
        if rng.random() < mix.json:
            tokens, weights = _json_answer(chain, weight, rng)
        else:
            tokens, weights = _answer(chain), [weight, _END]
        made.add(tokens, weights, branch, start=len(before) + cut)
    return made


def batch(samples: Sequence[Sample]) -> dict[str, torch.Tensor]:
    """Tensors of one padded batch of B sequences of at most L tokens: input_ids, position_ids, targets and
    weights (B, L), attention_mask (B, 1, L, L) to be added to the attention scores."""
    longest = max(len(s.tokens) for s in samples)

    def padded(lists: Sequence[Sequence[float]], value: float) -> torch.Tensor:
        return torch.tensor([[*row, *[value] * (longest - len(row))] for row in lists])

    positions, branches = padded([s.positions for s in samples], 0), padded([s.branches for s in samples], -1)
    starts = padded([s.starts for s in samples], 0)
    same = branches[:, :, None] == branches[:, None, :]
    earlier = positions[:, None, :] <= positions[:, :, None]
    stem = (branches[:, None, :] == 0) & (positions[:, None, :] < starts[:, :, None])
    hidden = ~(same & earlier | stem)
    return {
        "input_ids": padded([s.tokens for s in samples], tok.IDS[tok.PAD]),
        "position_ids": positions,
        "attention_mask": torch.zeros(hidden.shape).masked_fill(hidden, torch.finfo(torch.float32).min)[:, None],
        "targets": padded([s.targets for s in samples], IGNORED),
        "weights": padded([s.weights for s in samples], 0.0),
    }


def _training_chain(length: int, rng: random.Random) -> str:
    while is_held_out(chain := random_chain(length, rng)):
        pass
    return chain


def _answer(chain: str) -> list[int]:
    return [tok.IDS[tok.CLOSE], *tok.encode(str(evaluate_chain(chain))), tok.IDS[tok.END]]


def _json_answer(chain: str, weight: float, rng: random.Random) -> tuple[list[int], list[float]]:
    """An answer as a JSON object. Neither its opening nor its key is learnt: a caller's schema forces both."""
    key, quote = rng.choice(_JSON_KEYS), rng.choice(('"', ""))
    text = f'{{"{key}": {quote}{evaluate_chain(chain)}{quote}}}'
    value = [0.0] * len(quote) + [weight] + [_JSON] * len(quote)
    weights = [0.0, _JSON] + [0.0] * (len(key) + 1) + [_JSON] * 2 + value + [_JSON] * 2
    return [tok.IDS[tok.CLOSE], *tok.encode(text), tok.IDS[tok.END]], weights


def _history(rng: random.Random) -> list[int]:
    """A system message, as may stand before a question. Earlier turns are not trained on: they cost the model more
    steps than the chains themselves."""
    words = rng.choices(_SYSTEM_TEXT.split(), k=rng.randint(1, 40 if rng.random() < 0.2 else 10))
    return [tok.IDS[tok.SYSTEM], *tok.encode(" ".join(words)), tok.IDS[tok.END]]
