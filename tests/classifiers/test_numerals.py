"""Numbers are read exactly, however they are spelt."""

from __future__ import annotations

import time
from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pointsman.classifiers.numerals import GREATEST_EXPONENT, LONGEST, rational

DECIMALS = st.decimals(-(10**12), 10**12, allow_nan=False, allow_infinity=False, places=6)


@given(st.fractions(), st.integers(1, 10**6))
def test_a_ratio_is_its_value_in_lowest_terms_or_not(value: Fraction, times: int) -> None:
    above, below = value.numerator * times, value.denominator * times
    for spelt in (f"{above}/{below}", f"\\frac{{{above}}}{{{below}}}", f"-\\frac{{{above}}}{{-{below}}}"):
        assert rational(spelt) == value
    assert rational(f"{above:,}/{below}".replace("-", "\u2212")) == value


@given(DECIMALS)
def test_a_decimal_is_its_exact_value(value: object) -> None:
    exact = Fraction(str(value))
    for spelt in (f"{value:f}", f"{value:,f}", f"{value:e}", f"{value:E}", f"{value:f}0", f"{value:f}e0"):
        assert rational(spelt) == exact


@given(st.integers(-(10**6), 10**6), st.integers(-GREATEST_EXPONENT, GREATEST_EXPONENT))
def test_powers_of_ten_are_multiplied_out_exactly(mantissa: int, exponent: int) -> None:
    value = mantissa * Fraction(10) ** exponent
    for shape in ("{}e{}", "{}*10^{}", "{} x 10^{{{}}}", "{}\u00d710^{}"):
        assert rational(shape.format(mantissa, exponent)) == value
    assert rational(f"10^{exponent}") == Fraction(10) ** exponent


@pytest.mark.parametrize(
    "text",
    ["", " ", "-", ".", "one", "1,00", "0,123", "1,000,00", ",100", "1 000", "1 1/2", "1/0", "\\frac{1}{0}", "50%",
     "1e", "e5", "--1", "1/2/3", "1.2.3", "12 cm", "x1", "1_000", "nan", "inf", "0x1f", "\u00bd", "2\u00b2", "10^",
     "1\n"],
)  # fmt: skip
def test_what_is_not_one_number_is_none(text: str) -> None:
    assert rational(text) is None


@pytest.mark.parametrize(
    "text",
    ["1e999999999", "1e-999999999", "10^999999999", "9" * (LONGEST + 1), "9" * 10**6, f"1e{GREATEST_EXPONENT + 1}"],
)
def test_absurd_numbers_are_not_multiplied_out(text: str) -> None:
    start = time.process_time()
    assert rational(text) is None
    assert time.process_time() - start < 0.5


@given(st.text("0123456789.,/+-\u2212eEx*^ {}\\frac%", max_size=40))
def test_what_python_reads_as_a_fraction_is_read_alike(text: str) -> None:
    found = rational(text)
    if "_" in text or text != text.strip() or "," in text:
        return
    try:
        expected = Fraction(text)
    except (ValueError, ZeroDivisionError):
        return
    assert found == expected or abs(int(text.lower().partition("e")[2] or 0)) > GREATEST_EXPONENT
