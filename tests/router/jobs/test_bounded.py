"""Checks that could take for ever are stopped."""

from __future__ import annotations

import asyncio

import psutil
import pytest

from pointsman.router.jobs.bounded import Checker
from pointsman.router.jobs.checks import Checked


async def test_a_check_without_end_is_stopped_counts_as_wrong_and_the_next_one_runs() -> None:
    """An expression that backtracks exponentially; the process that ran it is gone afterwards."""
    before = set(psutil.Process().children())
    async with asyncio.timeout(60), Checker(seconds=0.5) as checker:
        assert await checker.check("regex", "a", "a") == Checked(1.0, "a")
        assert await checker.check("regex", r"^(a+)+$", "a" * 60 + "b") == Checked(0.0, None)
        assert (await checker.check("regex", "b", "abc")).correct == 1.0
    assert set(psutil.Process().children()) == before


async def test_the_first_check_of_a_process_has_no_longer_than_any_other() -> None:
    """What may take a minute is the start: a check without end is stopped in time right after it, and after each."""
    async with asyncio.timeout(30), Checker(seconds=0.5) as checker:
        for _ in range(2):
            assert await checker.check("regex", r"^(a+)+$", "a" * 60 + "b") == Checked(0.0, None)


async def test_what_a_kind_needs_is_loaded_before_its_first_check() -> None:
    """Mathematics takes seconds to load, which is no fault of the answer."""
    async with Checker(seconds=1) as checker:
        assert (await checker.check("regex", "a", "a")).correct == 1.0
        assert (await checker.check("mathematics", "1/2", "$0.5$")).correct == 1.0


async def test_a_check_that_breaks_down_is_wrong() -> None:
    """A schema that points elsewhere: nothing is fetched."""
    async with Checker() as checker:
        assert (await checker.check("json_schema", {"$ref": "http://localhost:9/x"}, "1")).correct == 0.0
        assert (await checker.check("json_schema", {"type": "integer"}, "1")).correct == 1.0


async def test_a_number_that_fits_no_memory_is_wrong() -> None:
    """Multiplied out it would have ten thousand million digits."""
    async with Checker(seconds=1) as checker:
        assert (await checker.check("mathematics", "1", "$10^{10^{10}}$")).correct == 0.0
        assert (await checker.check("mathematics", "1/2", "$0.5$")).correct == 1.0


async def test_cancelling_leaves_no_answer_for_the_next_question() -> None:
    async with Checker(seconds=5) as checker:
        await checker.check("regex", "a", "a")
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.2):
                await checker.check("regex", r"^(a+)+$", "a" * 60 + "b")
        assert (await checker.check("regex", "zz", "a")).correct == 0.0


async def test_the_quick_kinds_need_no_process() -> None:
    async with Checker() as checker:
        assert (await checker.check("number", 3, "it is 3.0")).correct == 1.0
        assert (await checker.check("mathematics", "3", None)) == Checked(0.0, None)
        assert checker._process is None
