"""Whether a model can do what a route says of its thinking: be off, take the budget."""

from __future__ import annotations

from collections.abc import Sequence

from .advised import names_of
from .config import ModelConfig
from .engines import continues
from .families import family_of
from .family_rows import Family
from .hosted_fields import spelling_of


def budget_problem(
    name: str, config: ModelConfig, budget: int | None, table: Sequence[Family] | None = None
) -> str | None:
    """The sentence of why the model `name` cannot have this thinking budget (0: off, None: no limit), and what it can
    have instead; None where it can, or nothing is known. table: model families (None: the shipped).

    A model in this process can always be off, as its thought is closed before it begins; so can one whose empty thought
    is known, at an engine that goes on from a text."""
    if budget is None or config.thinks is False or config.folder is not None:
        return None
    if config.hosted:
        row = spelling_of(config.model or "")
        return row.off_problem() if budget == 0 else row.budget_problem(budget)
    family = family_of(names_of(name, config), table)
    if budget or family is None or not family.thinks or family.switchable:
        return None
    if family.empty is not None and continues(config):  # its thought is closed in the prompt
        return None
    least = "its own length, as it takes no lower" if family.least is None else f"effort {family.least}"
    return (
        f"the thinking of {family.name} cannot be turned off: use the mode `least` ({least}, which still thinks). "
        "Should this server turn it off after all, say how in a row under `families:`"
    )
