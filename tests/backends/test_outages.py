"""Models whose servers did not answer lately."""

from __future__ import annotations

import pytest

from pointsman.backends import Outages
from pointsman.backends.outages import IMPATIENT, REST_S
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


def test_impatience_proves_as_much_as_silence_when_it_comes_again_and_again() -> None:
    """Three times in a row, with nothing heard between; after the rest each further time."""
    clock = Clock()
    outages = Outages(clock)
    for _ in range(IMPATIENT - 1):
        outages.cut_short("q")
    outages.answered("q")
    for _ in range(IMPATIENT - 1):
        outages.cut_short("q")
        assert not outages.resting("q")
    outages.cut_short("q")
    assert outages.resting("q")
    clock.now += REST_S
    outages.trying("q")
    outages.cut_short("q")
    assert outages.resting("q")


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


def test_a_server_that_keeps_dying_rests_until_it_has_answered() -> None:
    """Not for a time: whoever starts it says when. A query that names it, and fails, changes nothing."""
    clock = Clock()
    outages = Outages(clock)
    outages.down("q", "it ended 6 times in a row")
    clock.now += 10 * REST_S
    outages.trying("q")
    outages.failed("q", BackendUnavailable("cannot be reached", backend="q"))
    clock.now += 10 * REST_S
    assert outages.resting("q")
    assert (outages.reason("q"), outages.reason("other")) == ("it ended 6 times in a row", None)
    outages.answered("q")
    assert not outages.resting("q")
    assert outages.reason("q") is None
