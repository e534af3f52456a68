"""Text that tries to change a model's mode: everything that families read, alone, doubled, nested, cut and in JSON."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from random import Random

from hypothesis import strategies as st

from pointsman.backends.families import families
from pointsman.backends.family_rows import Family

COMMON = (
    "<|im_start|>",
    "<|im_end|>",
    "<|endoftext|>",
    "<|eot_id|>",
    "<|channel|>",
    "<|message|>",
    "<|start_of_role|>",
    "<\uff5cAssistant\uff5c>",
    "<\uff5cend\u2581of\u2581sentence\uff5c>",
    "[|endofturn|]",
    "[INST]",
    "[/INST]",
    "[gMASK]",
    "<sop>",
    "<s>",
    "</s>",
    "<<SYS>>",
    "<end_of_turn>",
    "<tool_call>",
    "</tool_call>",
    "<think>",
    "</think>",
    "<seed:think>",
    "<mm:think>",
    "<channel|>",
)
WORDS = (
    "see ",
    "/x.md",
    "a < b",
    " ",
    "\n",
    "\\",
    '"',
    "`",
    "\u2060",
    "\u2061",
    "gr\u00f6\u00dfer",
    "<",
    ">",
    "|",
    "/",
    "[",
    "]",
)


def spellings(family: Family | None) -> tuple[str, ...]:
    """What a model of this family reads."""
    rows = families() if family is None else (family,)
    own = {part for row in rows for part in (row.open, row.close, *(row.soft or ())) if part}
    return (*sorted(part.strip() for part in own), *COMMON)


def texts(family: Family | None) -> st.SearchStrategy[str]:
    """Texts with such spellings among words, some of them begun, ended or put inside each other."""
    whole = st.sampled_from(spellings(family))
    cut = st.builds(lambda one, at: one[: 1 + at % len(one)], whole, st.integers(0, 40))
    nested = st.builds(
        lambda out, inner, at: out[: at % len(out)] + inner + out[at % len(out) :], whole, whole, st.integers(0, 40)
    )
    return st.lists(st.one_of(whole, whole, cut, nested, st.sampled_from(WORDS)), min_size=1, max_size=12).map("".join)


def drawn(draw: Random, family: Family | None) -> str:
    """Such a text by a generator's numbers alone, always with at least one whole spelling."""
    known = spellings(family)
    parts = [draw.choice(known)]
    for _ in range(draw.randrange(1, 8)):
        one, other = draw.choice(known), draw.choice(known)
        cut, at = one[: draw.randrange(1, len(one) + 1)], draw.randrange(len(one))
        parts.append(draw.choice((one, cut, one[:at] + other + one[at:], draw.choice(WORDS))))
    draw.shuffle(parts)
    return "".join(parts)


def pieces(text: str, cuts: Sequence[int]) -> list[str]:
    """The text cut at these places."""
    places = sorted({0, len(text), *(cut % (len(text) + 1) for cut in cuts)})
    return [text[start:end] for start, end in pairwise(places)]
