"""A recording: some of its questions, some of its tracks, and when two questions are one."""

from __future__ import annotations

import numpy as np
from recorded import BUDGETS, FULL, SMALL, constellation, table, world

from pointsman.router.jobs.evaluation.reading import ladder_of, read_recording
from pointsman.router.jobs.evaluation.recording import folds_by_question, question_of


def test_a_question_is_its_prompt_without_case_and_blanks() -> None:
    assert question_of("  What\n is\t THIS? ") == "what is this?"


def test_a_question_is_in_the_same_fold_whatever_stands_beside_it() -> None:
    many = [f"question {i}" for i in range(50)]
    assert folds_by_question(many[::-1]).tolist() == folds_by_question(many).tolist()[::-1]
    assert folds_by_question(many[:1]).tolist() == folds_by_question(many).tolist()[:1]


def test_some_questions_and_some_tracks_of_a_recording() -> None:
    recording = read_recording(table(world(30)), constellation(BUDGETS))
    some = recording.rows(np.array([4, 2]))
    assert some.ids == (recording.ids[4], recording.ids[2])
    assert (some.correct == recording.correct[[4, 2]]).all()
    assert (some.seen.answers == recording.seen.answers[[4, 2]]).all()
    ladder = ladder_of(constellation((FULL, SMALL)))
    along = recording.along(ladder)
    assert (along.correct == recording.correct[:, [2, 0]]).all()
    assert (along.cost_to(1, 1) == recording.cost_to(0, 1)).all()
