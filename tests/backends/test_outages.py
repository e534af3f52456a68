"""Models whose servers did not answer lately."""

from __future__ import annotations

import pytest

from pointsman.backends import Outages
from pointsman.backends.outages import REST_S
from pointsman.errors import BackendError, BackendRejected, BackendTimeout, BackendUnavailable


class Clock:
    """Seconds, moved by hand."""

    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now


@pytest.mark.parametrize(
    ("error", "rests"),
    [
        (BackendTimeout("silent for 120000 ms", backend="q"), True),
        (BackendUnavailable("cannot be reached", backend="q"), True),
        (BackendUnavailable("loading", backend="q", status=503), False),
        (BackendTimeout("its own time-out", backend="q", status=504), False),
        (BackendRejected("no such colour", backend="q", status=400), False),
    ],
)
def test_only_silence_is_an_outage(error: BackendError, rests: bool) -> None:
    outages = Outages(Clock())
    outages.failed("q", error)
    assert (outages.resting("q"), outages.resting("other")) == (rests, False)


def test_after_its_rest_one_query_tries_and_the_others_wait_for_its_word() -> None:
    """Silent again: another rest; left: so it stays; answered: back for everybody."""
    clock = Clock()
    outages = Outages(clock)
    silence = BackendTimeout("silent", backend="q")
    outages.failed("q", silence)
    for ends in (lambda: outages.failed("q", silence), lambda: outages.left("q"), lambda: outages.answered("q")):
        clock.now += REST_S
        assert not outages.resting("q")
        outages.trying("q")
        clock.now += 5 * REST_S
        assert outages.resting("q"), "one is enough to find out"
        ends()
    assert not outages.resting("q")
    outages.trying("q")
    assert not outages.resting("q"), "a model that answers is tried by everybody"
