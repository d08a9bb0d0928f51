"""The outcome of an SMS, from Calltouch's status **and** its detail.

The document (``API-метод получения статистики SMS по базе``) lists five statuses and ten details, but not which
of them go together. Its sample has ``sent`` + ``Просрочено``: the status alone does not decide. Each decision
below is next to the line of the document that it is based on.

A pair that is not in the table is decided by its status, and reported as unknown. So is a status without a detail
(null), which is not reported, and whose failure has the reason ``no_detail``. Without a status the outcome is
undetermined, ``no_status`` and not final, whatever the detail. A row is final if no later answer is expected to
change it.
"""

from __future__ import annotations

from typing import Final, Literal, NamedTuple

Name = Literal["delivered", "failed", "pending", "undetermined"]


class SmsOutcome(NamedTuple):
    """An outcome. ``reason``: why it failed or is undetermined; ``known``: whether the pair is in the table."""

    outcome: Name
    reason: str | None
    is_final: bool
    known: bool = True


DELIVERED: Final = SmsOutcome("delivered", None, True)
PENDING: Final = SmsOutcome("pending", None, False)
UNDETERMINED: Final = SmsOutcome("undetermined", "unknown_status", False)
NO_STATUS: Final = SmsOutcome("undetermined", "no_status", False)


def _failed(reason: str) -> SmsOutcome:
    return SmsOutcome("failed", reason, True)


PAIRS: Final[dict[tuple[str, str], SmsOutcome]] = {
    # sample: "smsStatus": "delivered", "smsStatusDetail": "Доставлено"
    ("delivered", "доставлено"): DELIVERED,
    # sample: "error", "Невозможно доставить"
    ("error", "невозможно доставить"): _failed("undeliverable"),
    # the list of details; each names a refusal, and a refusal is an error
    ("error", "неверный номер"): _failed("invalid_number"),
    ("error", "запрещено"): _failed("forbidden"),
    ("error", "недостаточно средств"): _failed("no_funds"),
    ("error", "недоступный номер"): _failed("unreachable"),
    # sample: "sent", "Просрочено": it left, and its time to be delivered is over
    ("sent", "просрочено"): _failed("expired"),
    ("error", "просрочено"): _failed("expired"),
    # "Статус еще не получен. PS — передаем эту делать при статусе waiting"
    # "1. Если от смсц нет статуса, мы выведем вейтинг с деталью"
    ("waiting", "статус еще не получен"): PENDING,
    # sample: "unknown", "Статус еще не получен": the detail says that a status is still to come
    ("unknown", "статус еще не получен"): PENDING,
    # the list of details; both name a step before any result
    ("waiting", "ожидает отправки"): PENDING,
    ("sent", "ожидает отправки"): PENDING,
    ("waiting", "передано оператору"): PENDING,
    ("sent", "передано оператору"): PENDING,
    # "2. Если от смсц статус получен, но мы его не знаем, то статус unknown.
    #  Деталь — "Неизвестный статус"": a result there is, but not one that can be told;
    # not final, since the vendor may yet learn to read it
    ("unknown", "неизвестный статус"): UNDETERMINED,
}
STATUSES: Final[dict[str, SmsOutcome]] = {
    "delivered": DELIVERED,
    "error": _failed("other"),
    "sent": PENDING,
    "waiting": PENDING,
    "unknown": UNDETERMINED,
}


_WORDINGS: Final = frozenset(STATUSES) | {detail for _, detail in PAIRS}


def outcome_of(status: str | None, detail: str | None) -> SmsOutcome:
    """The outcome of a pair; case, ``ё`` and surrounding spaces or full stops do not matter."""
    if status is None:
        return NO_STATUS
    by_status = STATUSES.get(_normalize(status))
    if detail is None and by_status is not None:
        return _failed("no_detail") if by_status.outcome == "failed" else by_status
    found = PAIRS.get((_normalize(status), _normalize(detail or "")))
    return found or (by_status or UNDETERMINED)._replace(known=False)


def is_known(text: str) -> bool:
    """Whether a status or a detail is one of the vendor's own wordings, which have no personal data."""
    return _normalize(text) in _WORDINGS


def _normalize(text: str) -> str:
    return text.casefold().replace("ё", "е").strip(" \t\r\n.")
