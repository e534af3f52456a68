"""What was found and is still believed: warnings, tiers, and what makes a finding void."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pointsman.backends import Identity
from pointsman.domain import Enforcement, Price, Route, Tier
from pointsman.router.certificates import UNCHECKED, Certificates
from pointsman.store import CheckRow

AT = datetime(2026, 11, 28, tzinfo=UTC)
NOW = {"m": Identity("vLLM", "0.32.0", "same")}


def route(name: str, budget: int | None, **more: Any) -> Route:
    mode = "direct" if budget == 0 else "think"
    return replace(Route(name, "m", mode, budget, Price(0.1, 0, 1)), **more)


def finding(about: str, ruling: str = "kept", sentence: str = "As it should.", **figures: Any) -> dict[str, Any]:
    return {"about": about, "ruling": ruling, "sentence": sentence, "promise": True, "figures": figures}


def row(of: Route, *found: dict[str, Any], enforced: str = "native", fingerprint: str = "same") -> CheckRow:
    return CheckRow(
        *(of.name, of.model, of.mode, of.thinking_budget, "vLLM", "0.32.0", fingerprint, Enforcement(enforced)),
        found,
        AT,
    )


OFF, SOME, FULL = route("off", 0), route("some", 512, tier=Tier.BUDGETED), route("full", None)


def believed(*rows: CheckRow) -> Certificates:
    return Certificates.believed(rows, NOW)


def test_before_any_check_nothing_is_said_and_nothing_taken_away() -> None:
    none = Certificates()
    assert [none.enforced(one) for one in (OFF, SOME, FULL)] == [None] * 3
    assert none.warnings(SOME) == ()
    assert none.offered((SOME,), ()) == ((SOME,), ())
    assert none.standing(SOME) == UNCHECKED


def test_a_kept_promise_is_told_with_its_day_and_warned_of_by_nobody() -> None:
    told = believed(row(SOME, finding("route"), finding("budget", enforced="native"), enforced="two-pass"))
    assert told.enforced(SOME) is Enforcement.TWO_PASS
    assert told.warnings(SOME) == ()
    assert told.standing(SOME) == "two-pass, checked 2026-11-28"


@pytest.mark.parametrize(
    ("of", "found", "warning"),
    [
        (OFF, finding("off", "broken", "Off is not off."), "Off is not off (checked 2026-11-28)"),
        (SOME, finding("budget", "broken", "It overran."), "It overran (checked 2026-11-28)"),
        (SOME, finding("answer", "broken", "Lost."), "Lost (checked 2026-11-28)"),
        (FULL, finding("answer", "broken", "Lost."), "Lost (checked 2026-11-28)"),
        (SOME, finding("route", "broken", "Its own."), "Its own (checked 2026-11-28)"),
        (FULL, finding("name", "broken", "Asked for a."), "Asked for a (checked 2026-11-28)"),
        (
            SOME,
            finding("budget", ignored=True),
            "vLLM ignores the thinking budget: the thought is cut (checked 2026-11-28)",
        ),
    ],
)
def test_what_is_broken_is_warned_of(of: Route, found: dict[str, Any], warning: str) -> None:
    assert believed(row(of, found)).warnings(of) == (warning,)


def test_only_what_concerns_the_route_is_warned_of() -> None:
    broken = [finding("off", "broken", "Off is not off."), finding("budget", "broken", "It overran.")]
    told = believed(*(row(one, *broken) for one in (OFF, SOME, FULL)))
    assert "Off is not off" in str(told.warnings(OFF))
    assert "overran" not in str(told.warnings(OFF))
    assert "Off is not off" not in str(told.warnings(SOME))
    assert told.warnings(FULL) == ()


def test_a_budget_that_a_caller_names_is_warned_of_by_what_was_found_of_the_model() -> None:
    told = believed(row(OFF, finding("route", "broken", "Its own."), finding("budget", "broken", "It overran.")))
    named = route("m(2048)", 2048)
    assert told.warnings(named) == ("It overran (checked 2026-11-28)",)
    assert told.enforced(named) is Enforcement.NONE
    good = believed(row(OFF, finding("off"), finding("budget", enforced="two-pass")))
    assert good.enforced(named) is Enforcement.TWO_PASS
    assert good.enforced(route("m(off)", 0)) is Enforcement.NATIVE
    unsure = believed(row(OFF, finding("budget", "not shown", enforced="native")))
    assert unsure.enforced(named) is None


@given(st.text(), st.sampled_from(["m", "other"]), st.sampled_from(list(Enforcement)))
def test_nothing_is_believed_of_an_engine_that_is_not_just_the_same(now: str, model: str, way: Enforcement) -> None:
    told = Certificates.believed(
        [row(SOME, finding("route", "broken"), finding("budget", "broken"), enforced=way.value)],
        {model: Identity("vLLM", "0.33.0", now)},
    )
    if (now, model) == ("same", "m"):
        assert told.warnings(SOME)
    else:
        assert (told.enforced(SOME), told.warnings(SOME)) == (None, ())
        assert told.offered((SOME,), ()) == ((SOME,), ())
        assert told.standing(SOME) == "changed since it was checked: run pointsman check"


def test_a_route_that_was_set_up_anew_has_not_been_checked() -> None:
    told = believed(row(SOME, finding("route", "broken", "Its own."), enforced="none"))
    other = replace(SOME, thinking_budget=1024)
    assert "Its own" not in str(told.warnings(other))
    assert told.standing(other) == "changed since it was checked: run pointsman check"


@pytest.mark.parametrize("way", list(Enforcement))
@pytest.mark.parametrize("tier", [None, *Tier])
@pytest.mark.parametrize("insist", [False, True])
def test_a_budget_that_is_only_asked_for_is_not_offered_as_budgeted(
    way: Enforcement, tier: Tier | None, insist: bool
) -> None:
    mine = replace(SOME, tier=tier)
    told = believed(row(mine, finding("route", "not shown"), enforced=way.value))
    ((offered,), why) = told.offered((mine,), ["some"] if insist else [])
    dropped = tier is Tier.BUDGETED and way in (Enforcement.PROMPT, Enforcement.NONE) and not insist
    assert offered == replace(mine, tier=None if dropped else tier)
    assert len(why) == dropped
    assert all("some is not offered as budgeted" in one and "insist: true" in one for one in why)


def test_a_prompt_is_said_to_be_one() -> None:
    told = believed(row(SOME, finding("route", "not shown"), enforced="prompt"))
    assert told.warnings(SOME) == ("vLLM keeps no thinking budget: it is only asked to (checked 2026-11-28)",)


def test_findings_of_another_form_say_nothing() -> None:
    """A database may have been written by a version to come."""
    strange = believed(row(SOME, {}, {"about": "budget", "ruling": "superb", "figures": None}))
    assert strange.warnings(SOME) == ()
    assert strange.enforced(route("m(9)", 9)) is None
    half = believed(row(OFF, {"about": "budget", "ruling": "kept", "figures": {"enforced": "magic"}}))
    assert half.enforced(route("m(9)", 9)) is None
