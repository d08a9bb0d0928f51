"""What became of an SMS, by the document's statuses and details."""

from __future__ import annotations

import pytest

from dagster_project.vendors.calltouch.outcomes import PAIRS, STATUSES, SmsOutcome, outcome_of

DETAILS = [
    "Статус еще не получен",
    "Невозможно доставить",
    "Неверный номер",
    "Запрещено",
    "Недостаточно средств",
    "Недоступный номер",
    "Доставлено",
    "Ожидает отправки",
    "Передано оператору",
    "Просрочено",
    "Неизвестный статус",
]


@pytest.mark.parametrize(
    ("status", "detail", "outcome"),
    [
        ("delivered", "Доставлено", SmsOutcome("delivered", None, True)),
        ("error", "Невозможно доставить", SmsOutcome("failed", "undeliverable", True)),
        ("sent", "Просрочено", SmsOutcome("failed", "expired", True)),
        ("unknown", "Статус еще не получен", SmsOutcome("pending", None, False)),
    ],
)
def test_the_documents_own_sample(status: str, detail: str, outcome: SmsOutcome) -> None:
    assert outcome_of(status, detail) == outcome


@pytest.mark.parametrize(
    ("status", "detail", "outcome"),
    [
        ("waiting", "Статус еще не получен", SmsOutcome("pending", None, False)),
        ("waiting", "Ожидает отправки", SmsOutcome("pending", None, False)),
        ("sent", "Передано оператору", SmsOutcome("pending", None, False)),
        ("unknown", "Неизвестный статус", SmsOutcome("undetermined", "unknown_status", False)),
        ("error", "Неверный номер", SmsOutcome("failed", "invalid_number", True)),
        ("error", "Запрещено", SmsOutcome("failed", "forbidden", True)),
        ("error", "Недостаточно средств", SmsOutcome("failed", "no_funds", True)),
        ("error", "Недоступный номер", SmsOutcome("failed", "unreachable", True)),
    ],
)
def test_what_the_document_says_in_words(status: str, detail: str, outcome: SmsOutcome) -> None:
    assert outcome_of(status, detail) == outcome


def test_every_documented_status_and_detail_is_in_the_table() -> None:
    assert {status for status, _ in PAIRS} == set(STATUSES)
    assert {detail for _, detail in PAIRS} == {detail.lower() for detail in DETAILS}


@pytest.mark.parametrize(
    ("status", "outcome"),
    [
        ("delivered", SmsOutcome("delivered", None, True, known=False)),
        ("error", SmsOutcome("failed", "other", True, known=False)),
        ("sent", SmsOutcome("pending", None, False, known=False)),
        ("waiting", SmsOutcome("pending", None, False, known=False)),
        ("unknown", SmsOutcome("undetermined", "unknown_status", False, known=False)),
        ("read", SmsOutcome("undetermined", "unknown_status", False, known=False)),
        ("", SmsOutcome("undetermined", "unknown_status", False, known=False)),
    ],
)
def test_an_unseen_pair_goes_by_its_status_and_says_so(status: str, outcome: SmsOutcome) -> None:
    assert outcome_of(status, "Что-то новое") == outcome


def test_spelling_does_not_matter() -> None:
    assert outcome_of("Waiting", " Статус ещё не получен. ") == outcome_of(
        "waiting", "Статус еще не получен"
    )


def test_only_a_failure_or_an_undetermined_outcome_has_a_reason_and_only_an_end_is_final() -> None:
    for outcome in [*PAIRS.values(), *STATUSES.values()]:
        assert (outcome.reason is not None) == (outcome.outcome in ("failed", "undetermined"))
        assert outcome.is_final == (outcome.outcome in ("delivered", "failed"))
