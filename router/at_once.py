"""A stream that withholds nothing: the text alone decides, and one route answers as it comes."""

from __future__ import annotations

from dataclasses import replace

from .decide import Considered
from .modes import loop_of

FORGONE = "streamed as it comes: nothing was bought before, and nothing follows"


def at_once(considered: Considered) -> Considered:
    """What was considered without buying, for such a stream: routes in looping modes, which know their answer at the
    end only, are left out where others can serve. What is forgone, or withheld all the same, is a warning."""
    terms = considered.terms
    plain = [route for route in terms.routes if loop_of(route.mode) is None]
    told = [FORGONE] if considered.forgone or (plain and len(plain) < len(terms.routes)) else []
    if not plain:
        told = [f"{terms.routes[0].mode} chooses among several answers: it is withheld until it has"]
        plain = list(terms.routes)
    return replace(considered, terms=replace(terms, routes=tuple(plain)), warnings=(*considered.warnings, *told))
