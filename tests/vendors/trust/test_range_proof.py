from __future__ import annotations

from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from typing import Any

import pytest

from dagster_project.model.range_proof import RangeProof
from dagster_project.vendors.trust.figures import Figures
from dagster_project.vendors.trust.range_proof import (
    ATTEMPTS_APART,
    PROOF_LASTS,
    RECENT_DAYS,
    Observation,
    decide,
    effective_proof,
    is_due,
    overturn_note,
    recent_days,
)

NOW = datetime(2024, 5, 15, 16, tzinfo=UTC)
TODAY = date(2024, 5, 15)
NOTHING = Figures(0, 0, 0, 0, 0, 0, 0, 0, 0)
WEEK = replace(NOTHING, total=70, sent=70)
ONE_DAY = replace(NOTHING, total=10, sent=10)
DAYS = recent_days(TODAY)

CONCLUSIVE = Observation(WEEK, NOTHING, {DAYS[0]: NOTHING, DAYS[1]: ONE_DAY}, WEEK)


def seen(**changes: Any) -> Observation:
    return replace(CONCLUSIVE, **changes)


@pytest.mark.parametrize(
    ("observation", "state", "reason"),
    [
        (seen(), "honoured", "there are no figures"),
        (seen(rolling_again=ONE_DAY), "honoured", "there are no figures"),
        (seen(recent={DAYS[0]: WEEK}), "honoured", "the range's start is not honoured"),
        (seen(long_ago=WEEK), "ignored", "the same as without a range"),
        (seen(long_ago=ONE_DAY), "ignored", "there are figures"),
        (seen(recent=dict.fromkeys(DAYS, NOTHING)), "ignored", "any of the last 8 days"),
        (seen(rolling=NOTHING), "unproven", "quiet"),
        (seen(rolling=None), "unproven", "quiet"),
        (seen(rolling=NOTHING, long_ago=NOTHING), "unproven", "quiet"),
        (seen(long_ago=None), "unproven", "long ago"),
        (seen(recent={}), "unproven", "last days"),
        (seen(recent={DAYS[0]: NOTHING}), "unproven", "last days"),
        (seen(rolling_again=NOTHING), "unproven", "became quiet"),
        (seen(rolling_again=None), "unproven", "became quiet"),
        (seen(failure="AccessDenied: no"), "unproven", "AccessDenied"),
    ],
)
def test_only_a_full_observation_is_conclusive(
    observation: Observation, state: str, reason: str
) -> None:
    found, why = decide(observation)
    assert found == state
    assert reason in why


def test_nothing_long_ago_proves_nothing_of_a_company_that_answers_nothing_anyway() -> None:
    """The documented "200 Empty" alone is what a quiet company on an ignoring server says too."""
    assert decide(Observation(NOTHING, NOTHING, {}, NOTHING))[0] == "unproven"


def test_the_days_asked_singly_cover_any_reading_of_the_last_seven_days() -> None:
    assert DAYS[0] == TODAY
    assert DAYS[-1] == TODAY - timedelta(days=7)
    assert len(DAYS) == RECENT_DAYS


def test_the_evidence_is_what_was_compared() -> None:
    evidence = CONCLUSIVE.evidence()
    assert list(evidence) == [
        "without a range",
        "2000-01-01..2000-01-01",
        "2024-05-15..2024-05-15",
        "2024-05-14..2024-05-14",
        "without a range, again",
    ]
    assert evidence["without a range"]["total"] == 70


def proof(state: Any, age: timedelta) -> RangeProof:
    return RangeProof("trust", "https://h", "a,b", state, "7", NOW - age, "because", {})


def test_a_conclusion_stands_against_later_attempts_without_one() -> None:
    honoured, unproven = proof("honoured", timedelta(days=30)), proof("unproven", timedelta(0))
    assert effective_proof([honoured, unproven]) is honoured


def test_a_later_conclusion_overturns_an_earlier_one() -> None:
    honoured, ignored = proof("honoured", timedelta(days=2)), proof("ignored", timedelta(days=1))
    assert effective_proof([ignored, honoured]) is ignored
    assert "in doubt" in overturn_note(ignored, honoured)
    assert overturn_note(honoured, ignored) == ""
    assert overturn_note(ignored, None) == ""


def test_nothing_stands_where_nothing_was_tried() -> None:
    assert effective_proof([]) is None


@pytest.mark.parametrize(
    ("proofs", "due"),
    [
        ([], True),
        ([proof("honoured", PROOF_LASTS - timedelta(minutes=1))], False),
        ([proof("ignored", PROOF_LASTS - timedelta(minutes=1))], False),
        ([proof("honoured", PROOF_LASTS)], True),
        ([proof("unproven", ATTEMPTS_APART - timedelta(minutes=1))], False),
        ([proof("unproven", ATTEMPTS_APART)], True),
        ([proof("honoured", timedelta(days=9)), proof("unproven", timedelta(minutes=5))], False),
        ([proof("honoured", timedelta(days=-9))], True),
    ],
)
def test_it_is_asked_again_when_it_has_aged(proofs: list[RangeProof], due: bool) -> None:
    assert is_due(proofs, NOW) is due


def test_a_proof_taken_by_one_nightly_run_is_taken_again_by_the_next() -> None:
    assert is_due([proof("honoured", timedelta(hours=23, minutes=30))], NOW)
