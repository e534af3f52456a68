"""What an answer's own token probabilities say of it.

A model that is sure of its answer gives its tokens high probabilities; on many tasks that tells right answers from
wrong ones better than the question does (Kadavath et al., "Language models (mostly) know what they know", 2022)."""

from __future__ import annotations

from collections.abc import Sequence
from math import exp, log

from ..backends import TokenLogprob

ALTERNATIVES = 5
"""How many alternatives a probe asks for: enough for the margin and the entropy of the first token."""

NAMES = ("first_probability", "mean_probability", "least_probability", "first_margin", "first_entropy")
"""Probability of the answer's first token, geometric mean and least of all its tokens, each in [0, 1]; the first
token's lead over the next best alternative, in [0, 1]; its entropy over the alternatives given, in nats."""


def signs(tokens: Sequence[TokenLogprob]) -> dict[str, float]:
    """The signs of an answer with these tokens, by name; empty where there are none, without the margin and the entropy
    where no alternatives were given."""
    if not tokens:
        return {}
    probabilities = [min(1.0, exp(token.logprob)) for token in tokens]
    mean = exp(sum(min(0.0, token.logprob) for token in tokens) / len(tokens))
    found = {
        "first_probability": probabilities[0],
        "mean_probability": mean,
        "least_probability": min(probabilities),
    }
    if len(tokens[0].top) > 1:
        others = sorted((min(1.0, exp(logprob)) for _, logprob in tokens[0].top), reverse=True)
        rest = max(0.0, 1.0 - sum(others))
        found["first_margin"] = others[0] - others[1]
        found["first_entropy"] = -sum(p * log(p) for p in (*others, rest) if p > 0)
    return found
