"""Who has a say in how tokens are drawn, and in which order."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from pointsman.backends.rows import wrong_in
from pointsman.backends.sampling import NAMES, merged, read_sampling, without
from pointsman.domain import Sampling

VALUES = st.none() | st.sampled_from([0, 0.0, 0.5, 1])
SAMPLINGS = st.builds(Sampling, **dict.fromkeys(NAMES, VALUES))


@given(own=SAMPLINGS, mode=SAMPLINGS, family=SAMPLINGS)
def test_of_every_value_the_first_that_is_said_holds_zero_included(own, mode, family):
    drawn = merged(own, mode, family)
    for name in NAMES:
        said = [value for value in (getattr(one, name) for one in (own, mode, family)) if value is not None]
        assert getattr(drawn, name) == (said[0] if said else None)


@given(sampling=SAMPLINGS, names=st.sets(st.sampled_from([*NAMES, "other"])))
def test_values_can_be_left_open(sampling, names):
    left = without(sampling, names)
    assert all(getattr(left, name) == (None if name in names else getattr(sampling, name)) for name in NAMES)


def test_a_table_is_read():
    wrong = wrong_in("a", "sampling", lambda *_: "here")
    assert read_sampling({"temperature": 0, "top_k": 3}, wrong) == Sampling(temperature=0, top_k=3)
