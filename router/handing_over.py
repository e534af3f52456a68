"""What one model said, told to the next one, of another kind, that is asked after it (`escalate: {hand_over: true}`).

Off unless the owner wants it: whether a model answers better for having seen another's guess was not measured, and
there are questions on which it follows a wrong one."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace

from ..backends.switching import with_line
from ..domain import Call, Finish, Route
from .run import Kept

MOST = 4000
"""Characters of what was said: an answer's beginning, a thought's end."""


def handed_over(call: Call, route: Route, bought: Iterable[Kept]) -> Call:
    """The call with what the last of the bought answers by other models said, if any did, in a line of system text."""
    others = [kept.watch for kept in bought if kept.watch.route.model != route.model]
    if not others:
        return call
    last = others[-1]
    if answer := last.text.strip():
        said = f"A quicker model answered: {answer[:MOST]}"
    elif thought := last.thought.strip():
        said = f"A quicker model thought about it: {thought[-MOST:]}"
    else:
        return call
    whole = last.finished is not None and last.finished.finish is Finish.STOP and bool(last.text.strip())
    state = "It was not sure." if whole else "It did not finish."
    line = f"{said}\n{state} Answer the question yourself."
    return replace(call, messages=with_line(call.messages, line))
