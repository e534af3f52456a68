"""Probes: what else is bought about an answer that a model just gave, before anybody commits to it.

An answer bought before committing is itself a probe, and its own token probabilities come with it (signs.py). These are
further calls to the same model: a question about the answer, of a few tokens, or the same query once more. A question's
prompt is the answer's own prompt, the answer, and the question last, so that an engine which keeps prompts reads only
the end. What a probe shows is a *sign* of the answer, by the probe's name."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from math import exp
from types import MappingProxyType

from ..backends import TokenLogprob
from ..classifiers import Embedder
from ..classifiers.answers import likeness
from ..domain import Call, Purpose, Sampling

MIN_MASS = 0.05
"""Where less than this probability is on the words asked for, the model did not understand: nothing is known."""

TEMPERATURE = 0.7
"""At which a second answer is drawn where the first was not drawn by chance."""

_NUMBER = re.compile(r"\d+(?:\.\d+)?")


@dataclass(frozen=True, slots=True)
class Probe:
    """One probe. question: about the answer; empty: the query is put once more, and the answers are compared. yes, no:
    words between which the first token's probability is shared; where there are none, a number from 0 to 100 is read
    from the reply. alternatives: how many the engine is asked for."""

    name: str
    source: str
    question: str = ""
    max_tokens: int | None = None
    yes: frozenset[str] = frozenset()
    no: frozenset[str] = frozenset()
    alternatives: int | None = None


PROBES: Mapping[str, Probe] = MappingProxyType(
    {
        probe.name: probe
        for probe in (
            Probe(
                "p_right",
                "Kadavath et al., arXiv:2207.05221: the probability that a model gives to its own answer's being true",
                "Is the answer above right? Reply with one word: Yes or No.",
                1,
                frozenset({"yes", "y", "true", "right", "correct"}),
                frozenset({"no", "n", "false", "wrong", "incorrect"}),
                20,
            ),
            Probe(
                "stated_confidence",
                "Tian et al., arXiv:2305.14975: a confidence in words is often better calibrated than probabilities",
                "How likely is it that the answer above is right? Reply with a number from 0 to 100 and nothing else.",
                6,
            ),
            Probe(
                "again",
                "Wang et al., arXiv:2203.11171, and Manakul et al., arXiv:2303.08896: what a model knows it says twice",
            ),
        )
    }
)
"""By the name of the sign that they give, in [0, 1]."""


def applies(probe: Probe, call: Call, *, whole: bool = True) -> bool:
    """Whether the probe makes sense after this call: thinking once more costs as much as the answer did, and a second
    answer can be compared with a whole one only."""
    return bool(probe.question) or (call.thinking_budget == 0 and whole)


def call_for(call: Call, answer: str, probe: Probe) -> Call:
    """The probe's call after `call` gave this answer: a question without thought, nothing drawn by chance; or the same
    call, drawn by chance."""
    if not probe.question:
        drawn = replace(call.sampling, temperature=call.sampling.temperature or TEMPERATURE, seed=None)
        return replace(call, purpose=Purpose.PROBE, sampling=drawn, logprobs=None)
    told = (
        *call.messages,
        {"role": "assistant", "content": call.answer_prefix + answer},
        {"role": "user", "content": probe.question},
    )
    return Call(
        messages=told,
        purpose=Purpose.PROBE,
        thinking_budget=0,
        max_tokens=probe.max_tokens,
        sampling=Sampling(temperature=0.0),
        logprobs=probe.alternatives,
        tools=call.tools,
        tool_choice="none" if call.tools else None,
        deadline_ms=call.deadline_ms,
        extra=dict(call.extra),
    )


def shown(
    probe: Probe, text: str, tokens: Sequence[TokenLogprob], answer: str = "", embedder: Embedder | None = None
) -> float | None:
    """What the reply shows, in [0, 1]; None where it cannot be read. answer: what the reply to the same query is
    compared with (likeness, classifiers/answers.py)."""
    if not probe.question:
        return likeness(answer, text, embedder)
    return _shared(probe, tokens) if probe.yes else _stated(text)


def _shared(probe: Probe, tokens: Sequence[TokenLogprob]) -> float | None:
    """Of the probability on the first token's words for yes and no, the share of yes."""
    if not tokens:
        return None
    first = tokens[0]
    told = dict(first.top) or {first.token: first.logprob}
    yes = no = 0.0
    for token, logprob in told.items():
        word = token.strip().casefold()
        if word in probe.yes:
            yes += min(1.0, exp(logprob))
        elif word in probe.no:
            no += min(1.0, exp(logprob))
    return yes / (yes + no) if yes + no >= MIN_MASS else None


def _stated(text: str) -> float | None:
    found = _NUMBER.search(text)
    if found is None:
        return None
    value = float(found[0])
    return value / 100 if value <= 100 else None
