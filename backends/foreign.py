"""Replies of foreign servers: read as they should be, and one error for all that are otherwise."""

from __future__ import annotations

from collections.abc import Generator
from contextlib import contextmanager

from ..errors import BackendUnavailable


@contextmanager
def readable(backend: str) -> Generator[None]:
    """Round the reading of a server's JSON. Raises BackendUnavailable where it is of another shape than it should be
    (a number for an object, a missing field), so that another route can answer."""
    try:
        yield
    except (AttributeError, LookupError, TypeError, ValueError) as error:
        problem = f"answered what cannot be read ({type(error).__name__}: {error})"
        raise BackendUnavailable(problem, backend=backend) from error
