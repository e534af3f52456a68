"""What each request of bench_modes shows, and what all of them come to: pure, so that the figures can be had again from
the raw lines alone (`python benchmarks/modes_judged.py benchmarks/out/modes.jsonl`)."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from statistics import median
from typing import Any

FORCED = 2
"""Tokens over its budget that a thought may have on digits: the closing words that the engine forces."""
LONGEST = 4
"""Tokens of an answer at which thinking that is off went on in the open: digits answers with one digit and an end."""
FORCED_OPEN = 32
MARKS = ("<think>", "</think>", "<|")
OF_THOUGHT = "=;?"
"""Characters that digits writes in thoughts only."""


def judged(line: Mapping[str, Any]) -> dict[str, bool]:
    """What is wrong with one request. line: budget (0: off), thought and answer with their tokens as told (`thought`,
    `answer`) and as recounted, the tokens of the unbounded thought, and the finish."""
    budget, on_digits = line["budget"], line["model"] == "digits"
    thought, unbounded = line["recounted_thought"], line["unbounded"]
    off = budget == 0
    most = max(line["thought"], thought)
    slack = FORCED if on_digits else FORCED_OPEN
    whole = min(budget, unbounded) if unbounded is not None else 0
    return {
        "off_violation": off and (most > 0 or bool(line["thought_text"]) or (on_digits and line["answer"] > LONGEST)),
        "budget_violation": not off and most > budget + slack,
        "empty_answer": not line["answer_text"].strip(),
        "leak": any(mark in line["answer_text"] for mark in MARKS)
        or (on_digits and not line["injected"] and any(one in line["answer_text"] for one in OF_THOUGHT)),
        "lost_text": on_digits and not line["injected"] and not off and thought < whole,
    }


def figures(lines: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """All of modes.json that the raw lines hold."""
    asked = [one for one in lines if one["kind"] == "request"]
    digits = [one for one in asked if one["model"] == "digits"]
    engines = sorted({one["engine"] for one in digits if not one["path_only"]})
    found = [judged(one) for one in asked]
    per_engine = {name: sum(one["engine"] == name for one in digits) for name in {one["engine"] for one in digits}}
    bounded = [one for one in asked if one["budget"]]
    live = [one for one in lines if one["kind"] == "injection"]
    rendered = [one for one in lines if one["kind"] == "family"]
    return {
        "engines": len(engines),
        "requests_per_engine": min(per_engine.values(), default=0),
        "bind_share": _share(one["unbounded"] > one["budget"] + FORCED for one in digits),
        "off_violations": sum(one["off_violation"] for one in found),
        "budget_violations": sum(one["budget_violation"] for one in found),
        "empty_answers": sum(one["empty_answer"] for one in found),
        "leaks": sum(one["leak"] for one in found),
        "lost_text": sum(one["lost_text"] for one in found),
        "budget_overrun_max": _over(one for one in bounded if one["model"] == "digits"),
        "budget_overrun_max_open": _over(one for one in bounded if one["model"] != "digits"),
        "recount_max_diff": max(map(_difference, asked), default=0),
        "injections_tried": len(live) + sum(one["tried"] for one in rendered),
        "injections_moved": sum(moved(one) for one in live) + sum(one["moved"] for one in rendered),
        "families_rendered": sum(one["tried"] > 0 for one in rendered),
        "two_pass_extra_ms": _extra(lines, "llamacpp"),
        "by_engine": {name: _of_engine(lines, name) for name in sorted(per_engine)},
    }


def moved(line: Mapping[str, Any]) -> bool:
    """Whether an injection changed the mode: thought where it was off (told, shown or recounted), more of it than the
    budget, no answer, or a mark in it. How long an open answer is says nothing by itself, as letters that digits does
    not know garble it: `long_answers` counts those of attacks and of controls, which are as many other letters."""
    wrong = judged(line)
    thought = line["thought"] > 0 or line["recounted_thought"] > 0 or bool(line["thought_text"])
    return wrong["budget_violation"] or wrong["empty_answer"] or wrong["leak"] or (line["budget"] == 0 and thought)


def long_answers(lines: Iterable[Mapping[str, Any]]) -> str:
    """How many answers with thinking off are longer than digits' own, of how many."""
    off = [one for one in lines if one["budget"] == 0]
    return f"{sum(one['answer'] > LONGEST for one in off)} of {len(off)}"


def table(found: Mapping[str, Any], titles: Mapping[str, str]) -> str:
    """A row an engine, for the documents."""
    head = (
        "| engine | requests | off broken | budget broken | empty | leaked | lost text | most over the budget | "
        "SmolLM2, over 1,024 | counts off by | kept | attacks moved | two passes add |"
    )
    rows = [head, "|---|" + "--:|" * 9 + "---|--:|--:|"]
    for name, one in found["by_engine"].items():
        extra = one["two_pass_extra_ms"]
        added = "" if extra is None else f"{extra:.1f} ms, {one['two_pass_extra_prefill']:.0f} tokens read"
        broken = [one[key] for key in ("off_violation", "budget_violation", "empty_answer", "leak", "lost_text")]
        cells = [titles[name], one["requests"], *broken, one["budget_overrun_max"], one["budget_overrun_max_open"]]
        cells += [one["recount_max_diff"], ", ".join(one["enforced"])]
        cells += [f"{one['injections_moved']} of {one['injections']}", added]
        rows.append("| " + " | ".join(map(str, cells)) + " |")
    return "\n".join(rows)


def _of_engine(lines: Sequence[Mapping[str, Any]], name: str) -> dict[str, Any]:
    mine = [one for one in lines if one.get("engine") == name]
    asked = [one for one in mine if one["kind"] == "request"]
    found = [judged(one) for one in asked]
    live = [one for one in mine if one["kind"] == "injection"]
    totals = {key: sum(one[key] for one in found) for key in (found[0] if found else {})}
    return {
        "requests": len(asked),
        **totals,
        "budget_overrun_max": _over(one for one in asked if one["budget"] and one["model"] == "digits"),
        "budget_overrun_max_open": _over(one for one in asked if one["budget"] and one["model"] != "digits"),
        "recount_max_diff": max(map(_difference, asked), default=0),
        "enforced": sorted({one["enforced"] for one in asked if one["budget"]}),
        "injections": len(live),
        "injections_moved": sum(map(moved, live)),
        "long_answers_attacked": long_answers(live),
        "long_answers_controls": long_answers(one for one in mine if one["kind"] == "control"),
        "ms_p50": round(median(one["ms"] for one in asked), 1) if asked else None,
        "two_pass_extra_ms": _extra(lines, name),
        "two_pass_extra_prefill": _extra(lines, name, "prefill"),
    }


def _extra(lines: Iterable[Mapping[str, Any]], name: str, what: str = "ms") -> float | None:
    """How much more two passes take than the engine's own budget: the median over the same requests, one after the
    other."""
    pairs = [one for one in lines if one["kind"] == "pair" and one["engine"] == name]
    return round(median(one[f"two_pass_{what}"] - one[f"native_{what}"] for one in pairs), 2) if pairs else None


def _difference(line: Mapping[str, Any]) -> int:
    """The greater difference between a count as told and as recounted; the closing marker, where the engine made it,
    and the end of an answer are tokens that have no text here."""
    over = line["thought"] - line["recounted_thought"]
    thought = min(abs(over), abs(over - line["closing"]))
    return max(thought, abs(line["answer"] - line["recounted_answer"] - (line["finish"] == "stop")))


def _over(lines: Iterable[Mapping[str, Any]]) -> int:
    return max((max(one["thought"], one["recounted_thought"]) - one["budget"] for one in lines), default=0)


def _share(found: Iterable[bool]) -> float:
    whole = list(found)
    return round(sum(whole) / len(whole), 4) if whole else 0.0


def read(path: Path) -> list[dict[str, Any]]:
    """The raw lines."""
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]


if __name__ == "__main__":
    print(json.dumps(figures(read(Path(sys.argv[1]))), indent=1))
