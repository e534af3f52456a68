"""From answers and feedback over HTTP to a promoted artifact that a running proxy takes up."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any

from pointsman.router import Router
from pointsman.router.jobs.evaluation.replay import Aim
from pointsman.router.jobs.release import release
from pointsman.router.jobs.sources import from_store

COLOURS = ("red", "green", "blue", "black", "white", "brown", "pink", "grey", "gold", "lime", "rose", "sand")
EASY = [f"Say {word} again." for word in COLOURS]
HARD = [f"Prove that {n} * {n + 1} * {n + 2} / 6 is whole, step by step, with (a + b) ** {n}." for n in range(12)]


def test_a_promotion_is_taken_up_without_a_restart_and_without_losing_a_request(
    stubbed: Callable[..., Any], wait_until: Callable[..., Any]
) -> None:
    """Answers of two routes are judged over HTTP, another process retrains and promotes while requests go on: all are
    answered, soon by what was learnt."""
    with stubbed("good", "thinker") as proxy:
        for question in EASY + HARD:
            for route in ("r-good", "r-thinker"):
                told = proxy.ask(question, model=route).headers["x-pointsman-decision-id"]
                right = route == "r-thinker" or question in EASY
                proxy.post("/v1/feedback", {"decision_id": told, "value": int(right), "source": "check"})
        assert proxy.router.store.flush()
        assert proxy.ask(HARD[0]).headers["x-pointsman-policy"].endswith("artifact=none")
        with _asking(proxy) as seen:
            artifact = _retrain(proxy.router.settings)
            taken = f"artifact={artifact}"
            wait_until(lambda: any(policy.endswith(taken) for _, policy in list(seen)), "the promotion is taken up")
        assert {status for status, _ in seen} == {200}
        decision = proxy.post("/v1/route", {"query": HARD[1]}).json()
        assert set(decision["estimates"]) == {"r-good", "r-thinker"}
        assert decision["artifact"] == artifact
        assert 0 <= decision["confidence"] <= 1


def _retrain(settings: Any) -> str:
    """What `pointsman retrain --promote` does, on a router of its own."""
    with Router(settings) as other:
        aim = Aim.of(other.decider.standing)
        source = from_store(other.store, aim, other.decider.embedder, None)
        made = release(other.store, source, other.decider.embedder, settings.home / "artifacts", promote=True)
        return made.retrained.artifact.id


class _asking:  # noqa: N801 - reads as a verb
    """Asks again and again from another thread; each answer's status and policy."""

    def __init__(self, proxy: Any) -> None:
        self._proxy, self._stop, self._seen = proxy, threading.Event(), list[tuple[int, str]]()
        self._thread = threading.Thread(target=self._ask, daemon=True)

    def _ask(self) -> None:
        while not self._stop.wait(0.01):
            answer = self._proxy.ask(EASY[0])
            self._seen.append((answer.status_code, answer.headers.get("x-pointsman-policy", "")))

    def __enter__(self) -> list[tuple[int, str]]:
        self._thread.start()
        return self._seen

    def __exit__(self, *error: object) -> None:
        self._stop.set()
        self._thread.join()
