"""What follows from what was seen: whether fields, counts, tools, schemas, streams and cancelling work. Pure.

No route's name promises these, so a broken one is no lie, but told."""

from __future__ import annotations

import json
from collections.abc import Collection, Sequence
from typing import Any, cast

from ....backends import SLACK
from ....domain import Json
from .findings import Finding, Ruling, answered, failure
from .observing import Observed

NEAR_TOKENS, NEAR_SHARE = 2, 0.01
"""How far a told count may be from the recounted one: so many tokens, or such a share."""
SLOW_MS = 1_000.0
"""Work that takes less than this cannot be told from the noise of a busy machine."""


def apart(thinking: Sequence[Observed]) -> Finding:
    """Whether the thought comes back apart from the answer. thinking: calls with thinking on (none: it cannot)."""
    if not thinking:
        return Finding("thought", Ruling.NOT_POSSIBLE, "The model does not think.")
    good = answered(thinking)
    if not good:
        return failure("thought", thinking, promise=False)
    if leaked := [one for one in good if one.marked]:
        sentence = f"{len(leaked)} of {len(good)} answers hold marks of the thought."
        return Finding("thought", Ruling.BROKEN, sentence)
    thoughts = [one for one in good if one.thought.strip()]
    if thoughts:
        return Finding("thought", Ruling.KEPT, f"It comes apart from the answer, {len(thoughts)} of {len(good)} times.")
    if any(one.thought_spent for one in good):
        return Finding("thought", Ruling.NOT_POSSIBLE, "Thought is billed, but its text does not come back.")
    return Finding("thought", Ruling.NOT_SHOWN, "The model did not think.")


def counts(seen: Sequence[Observed]) -> Finding:
    """Whether the told counts of thought and answer are those of their texts, by the model's own tokenizer."""
    good = [one for one in answered(seen) if not one.tools]
    if not good:
        return failure("counts", seen, promise=False)
    if any("estimated" in warning for one in good for warning in one.warnings):
        return Finding("counts", Ruling.NOT_COUNTABLE, "The server tells no usage: tokens are estimated.")
    checked = [one for one in good if one.thought_tokens is not None and one.text_tokens is not None]
    if not checked:
        return Finding("counts", Ruling.NOT_COUNTABLE, "The server counts no tokens of a text for us.")
    worst, far = 0, 0
    for one in checked:
        for told, text in ((one.usage.thought, one.thought_tokens), (one.usage.answer, one.text_tokens)):
            assert text is not None
            apart_by = abs(told - text)
            worst = max(worst, apart_by)
            far += apart_by > max(NEAR_TOKENS, NEAR_SHARE * text)
    figures = {"difference": worst, "answers": len(checked)}
    if far:
        sentence = f"{far} of {2 * len(checked)} counts are off, by up to {worst} tokens."
        return Finding("counts", Ruling.BROKEN, sentence, figures=figures)
    sentence = f"Thought and answer recounted: at most {worst} tokens apart in {len(checked)} answers."
    return Finding("counts", Ruling.KEPT, sentence, figures=figures)


def prefill(goes_on: Sequence[Observed]) -> Finding:
    """Whether a begun answer (or thought) is gone on with, and not repeated. Empty: the engine cannot."""
    if not goes_on:
        return Finding("prefill", Ruling.NOT_POSSIBLE, "The engine cannot go on with a begun answer.")
    good = answered(goes_on)
    if not good:
        return failure("prefill", goes_on, promise=False)
    for one in good:
        begun, came = (
            (one.call.answer_prefix, one.text) if one.call.answer_prefix else (one.call.thought_prefix, one.thought)
        )
        if len(begun) > 1 and came.lstrip().startswith(begun.strip()):
            return Finding("prefill", Ruling.BROKEN, "What was begun is repeated, not gone on with.")
    if all(one.empty for one in good):
        return Finding("prefill", Ruling.BROKEN, "Nothing came after what was begun.")
    kinds = sorted({"answer" if one.call.answer_prefix else "thought" for one in good})
    return Finding("prefill", Ruling.KEPT, f"A begun {' and '.join(kinds)} is gone on with.")


def tools(seen: Observed | None, wanted: Collection[str]) -> Finding:
    """Whether a tool is called with arguments that are JSON. None: the model takes no tools; wanted: the arguments."""
    if seen is None:
        return Finding("tools", Ruling.NOT_POSSIBLE, "The model takes no tools.")
    if seen.error is not None:
        return failure("tools", [seen], promise=False)
    if not seen.tools:
        return Finding("tools", Ruling.NOT_SHOWN, "The tool was offered, and the model answered without it.")
    for call in seen.tools:
        function: Json = call["function"]
        arguments = _object(str(function["arguments"]))
        if arguments is None:
            return Finding("tools", Ruling.BROKEN, f"A tool's arguments are not JSON: {function['arguments']!r:.80}.")
        if not set(wanted) <= arguments.keys():
            return Finding("tools", Ruling.BROKEN, f"A tool was called without {', '.join(sorted(wanted))}.")
    return Finding("tools", Ruling.KEPT, "A tool was called, its arguments are JSON and complete.")


def schema(seen: Observed, key: str) -> Finding:
    """Whether a JSON schema (an object with one whole number at `key`) binds the answer, and not the thought."""
    if seen.refused:
        return Finding("schema", Ruling.NOT_POSSIBLE, f"The server refuses a schema: {seen.error}")
    if seen.error is not None:
        return failure("schema", [seen], promise=False)
    if told := [warning for warning in seen.warnings if "response_format" in warning or "structured" in warning]:
        return Finding("schema", Ruling.NOT_POSSIBLE, f"{told[0][:1].upper()}{told[0][1:]}.")
    answer = _object(seen.text)
    if answer is None or set(answer) != {key} or type(answer[key]) is not int:
        return Finding("schema", Ruling.BROKEN, f"The answer is not of the schema: {seen.text!r:.80}.")
    if seen.thought.strip() and _object(seen.thought) is not None:
        return Finding("schema", Ruling.BROKEN, "The schema bound the thought too.")
    free = ", and the thought is free" if seen.thought.strip() else ""
    return Finding("schema", Ruling.KEPT, f"It binds the answer{free}.")


def logprobs(seen: Observed) -> Finding:
    """Whether log-probabilities come with the answer's tokens."""
    if seen.error is not None:
        return failure("logprobs", [seen], promise=False)
    if seen.logprobs:
        return Finding("logprobs", Ruling.KEPT, f"They came with {seen.logprobs} tokens of the answer.")
    return Finding("logprobs", Ruling.NOT_POSSIBLE, "None came with the answer.")


def streaming(seen: Sequence[Observed]) -> Finding:
    """Whether replies come as they are made: more than one piece, over a good part of the time that they take."""
    good = [one for one in answered(seen) if one.arrivals]
    if not good:
        return failure("streaming", seen, promise=False)
    longest = max(good, key=lambda one: one.usage.output)
    pieces, spread = len(longest.arrivals), longest.arrivals[-1] - longest.arrivals[0]
    if longest.usage.output < 8:
        return Finding("streaming", Ruling.NOT_SHOWN, "Every reply was too short to tell.")
    told = f"{longest.usage.output} tokens came in {pieces} pieces over {spread:.0f} of {longest.total_ms:.0f} ms"
    if pieces == 1 or (spread < 0.1 * longest.total_ms and longest.total_ms > SLOW_MS):
        return Finding("streaming", Ruling.BROKEN, f"Replies come all at once: {told}.")
    return Finding("streaming", Ruling.KEPT, f"{told[0].upper()}{told[1:]}.")


def cancelling(parallel_ms: float, next_ms: float, alone_ms: float, *, error: str | None = None) -> Finding:
    """Whether calls that are left free the server. parallel_ms: what as many calls take that are not left; next_ms: a
    short call right after they were left; alone_ms: the same call on an idle server."""
    if error is not None:
        return Finding("cancelling", Ruling.BROKEN, f"The next call failed: {error}")
    figures = {"parallel_ms": parallel_ms, "next_ms": next_ms, "alone_ms": alone_ms}
    if parallel_ms - alone_ms < SLOW_MS:
        sentence = f"The next call took {next_ms:.0f} ms; eight whole ones only {parallel_ms:.0f}, too little to tell."
        return Finding("cancelling", Ruling.NOT_SHOWN, sentence, figures=figures)
    if next_ms > alone_ms + (parallel_ms - alone_ms) / 2:
        sentence = f"After calls that were left, the next took {next_ms:.0f} ms ({alone_ms:.0f} on an idle server)."
        return Finding("cancelling", Ruling.BROKEN, sentence, figures=figures)
    sentence = f"The next call took {next_ms:.0f} ms ({alone_ms:.0f} on an idle server)."
    return Finding("cancelling", Ruling.KEPT, sentence, figures=figures)


def parallel(seen: Sequence[Observed]) -> Finding:
    """Whether calls at the same time are all answered, each with its own budget."""
    failed = [one for one in seen if one.error is not None]
    if failed:
        sentence = f"{len(failed)} of {len(seen)} calls at once failed: {failed[0].error}"
        return Finding("parallel", Ruling.BROKEN, sentence, promise=True)
    if empty := sum(one.empty for one in seen):
        return Finding("parallel", Ruling.BROKEN, f"{empty} of {len(seen)} answers at once were empty.", promise=True)
    wrong = [one for one in seen if _over(one)]
    if wrong:
        sentence = f"{len(wrong)} of {len(seen)} calls at once thought beyond their own budget."
        return Finding("parallel", Ruling.BROKEN, sentence, promise=True)
    return Finding("parallel", Ruling.KEPT, f"{len(seen)} at once, each answered within its own budget.", promise=True)


def name(asked: str | None, listed: Collection[str], seen: Sequence[Observed]) -> Finding:
    """Whether the server answers under the name that it was asked by (None: whatever it lists first)."""
    good = [one for one in answered(seen) if one.model]
    if not good:
        return failure("name", seen, promise=False)
    known = {asked} if asked else set(listed)
    strange = sorted({one.model for one in good if known and not any(_same(one.model, other) for other in known)})
    if strange:
        sentence = f"Asked for {asked or ', '.join(sorted(known))}, the server answers as {', '.join(strange)}."
        return Finding("name", Ruling.BROKEN, sentence)
    return Finding("name", Ruling.KEPT, f"It answers as {good[0].model}.")


def _over(one: Observed) -> bool:
    limit = one.call.thinking_budget
    return limit is not None and one.thought_spent > (limit + SLACK if limit else 0)


def _same(told: str, asked: str) -> bool:
    """Servers add a date, a tag or a path to the name that they were asked by, or leave it out."""
    one, other = told.casefold(), asked.casefold()
    return one == other or one.rpartition("/")[2].startswith(other.rpartition("/")[2]) or other.endswith(f"/{one}")


def _object(text: str) -> dict[str, Any] | None:
    """The JSON object that a text is, None where it is none."""
    try:
        value = json.loads(text)
    except ValueError:
        return None
    return cast("dict[str, Any]", value) if isinstance(value, dict) else None
