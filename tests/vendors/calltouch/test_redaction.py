"""Numbers taken out of pages, and nothing else."""

from __future__ import annotations

import json
from typing import Any

from dagster_project.model.privacy import Suppression, identity_of
from dagster_project.vendors.calltouch.redaction import find_in_body, redact_body, redact_reject

LIST = Suppression.from_identities(b"k" * 32, [identity_of("+79261234567")])
OWN = {
    "phoneNumber": "8 (926) 123-45-67",
    "dateSent": "01-04-2024 15:05:32",
    "smsStatus": "delivered",
    "smsStatusDetail": "Доставлено",
    "smsMessage": "Ваш код: 14111",
}
MENTION = OWN | {"phoneNumber": "79209383654", "smsMessage": "Звоните +7 926 123-45-67"}
OTHER = OWN | {"phoneNumber": "79209383654"}


def body_of(*rows: dict[str, Any]) -> bytes:
    data = {"totalCountSms": len(rows), "pageOfResult": 1, "smsDetails": list(rows)}
    return json.dumps({"meta": [], "data": data}, ensure_ascii=False).encode()


def test_a_page_without_the_number_stays_as_it_is() -> None:
    assert redact_body(body_of(OTHER), LIST) is None
    assert redact_body(body_of(), LIST) is None


def test_the_number_is_gone_and_other_rows_are_unchanged() -> None:
    redacted = redact_body(body_of(OWN, MENTION, OTHER), LIST)
    assert redacted is not None
    rows = json.loads(redacted)["data"]["smsDetails"]
    assert rows[2] == OTHER
    assert not LIST.occurs_in(*(text for row in rows for text in row.values()))
    assert rows[1]["phoneNumber"] == MENTION["phoneNumber"]
    assert len(rows[1]["smsMessage"]) == len(MENTION["smsMessage"])
    assert redact_body(redacted, LIST) is None, "nothing is left to be taken out"


def test_what_a_page_holds_of_a_person_and_of_others_is_told_apart() -> None:
    found = find_in_body(body_of(OWN, MENTION, OTHER), LIST)
    assert len(found.own) == 1
    assert found.mentions == 1


def test_a_rejected_record_is_rid_of_the_number_too() -> None:
    assert redact_reject(json.dumps(OTHER), LIST) is None
    redacted = redact_reject(json.dumps(OWN, ensure_ascii=False), LIST)
    assert redacted is not None
    assert not LIST.occurs_in(redacted)
