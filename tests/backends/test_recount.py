"""One count of thought and answer, shared out by the model's tokenizer."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from stub import Reply, delta, sse, usage

from pointsman.backends.recount import shared_out
from pointsman.domain import Call, Usage

DIGITS = Path(__file__).resolve().parents[2] / "backends" / "models" / "digits"
COUNTS = st.integers(0, 500)


@given(COUNTS, COUNTS, st.integers(0, 900))
def test_the_total_stays_and_an_answer_has_tokens(thought: int, answer: int, tokens: int) -> None:
    """Whatever the tokenizer says: the server's total is its own, and what has text has at least a token."""
    before = Usage(7, 2, thought, answer)
    after = shared_out(before, tokens)
    assert (after.prompt, after.cached, after.output) == (7, 2, before.output)
    assert after.answer >= min(1, answer)
    assert after == before if not answer else after.thought == min(tokens, before.output - 1)


@pytest.mark.parametrize("pieces", [1, 2, 4, 8])
@pytest.mark.parametrize("told", [True, False])
async def test_pieces_of_any_size_are_counted_by_the_models_tokenizer(
    stub, engine_at, collect, pieces: int, told: bool
) -> None:
    """Eight characters are eight tokens of digits, however they come, and the marker's are thought; a count that the
    server tells itself goes before ours."""
    thought, answer, total = "3+4=7;57", "75", 8 + 5 + 2
    chunks = [delta(reasoning=thought[at : at + 8 // pieces]) for at in range(0, 8, 8 // pieces)]
    details = {"completion_tokens_details": {"reasoning_tokens": 12}} if told else {}
    stub.next.append(Reply([sse(*chunks, delta(content=answer), delta("stop"), usage(9, total, **details), b"[DONE]")]))
    engine = engine_at(stub.url, dialect="openai", model="stub", tokenizer=DIGITS)
    used = (await collect(engine, Call(({"role": "user", "content": "3+4="},)))).done.usage
    assert (used.thought, used.output) == (12 if told else 9, total), "eight characters and the marker"
