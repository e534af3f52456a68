"""Replies of another shape than they should have."""

from __future__ import annotations

from typing import Any

import pytest

from pointsman.backends.foreign import readable
from pointsman.errors import BackendRejected, BackendUnavailable


@pytest.mark.parametrize("reply", [{}, [], 5, None, {"count": "many"}, {"count": {}}])
def test_whatever_is_wrong_with_a_reply_is_one_error(reply: Any) -> None:
    """It names the server, and keeps the cause for whoever mends it."""
    with pytest.raises(BackendUnavailable, match="cannot be read") as caught, readable("qwen"):
        int(reply["count"])
    assert caught.value.backend == "qwen"
    assert caught.value.__cause__ is not None


def test_an_error_that_says_what_it_is_stays_what_it_is() -> None:
    with pytest.raises(BackendRejected), readable("qwen"):
        raise BackendRejected("no such colour", backend="qwen")
