"""What an answer of Trust's statistics means, by its body's code before HTTP's."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from dagster_project.errors import AccessDenied, RequestRefused
from dagster_project.model.response import Response
from dagster_project.transport.exchange import Reply, Transient
from dagster_project.vendors.trust.api import _TokenRefused, classify_response

NOON = datetime(2024, 5, 2, 9, tzinfo=UTC)


def reply(status: int, body: str) -> Reply:
    answer = Response(
        sequence=1,
        request={},
        asked_at=NOON,
        received_at=NOON,
        status=status,
        content_type="application/json",
        body=body.encode(),
    )
    return Reply(answer, {})


@pytest.mark.parametrize("body", ['{"code": 200, "data": {}}', '{"data": {}}', '{"code": "200"}'])
def test_a_success_passes(body: str) -> None:
    classify_response(reply(200, body))


@pytest.mark.parametrize(
    ("status", "body", "error"),
    [
        (401, "", _TokenRefused),
        (200, '{"code": 401}', _TokenRefused),
        (403, "<html>", AccessDenied),
        (200, '{"code": 404}', AccessDenied),
        (500, '{"code": 403}', AccessDenied),
        (503, "", Transient),
        (200, '{"code": 500}', Transient),
        (429, '{"code": 200}', Transient),
        (200, "<html>", Transient),
        (422, '{"code": 422}', RequestRefused),
        (200, '{"code": 400}', RequestRefused),
    ],
)
def test_an_error_is_named_by_what_can_be_done(
    status: int, body: str, error: type[Exception]
) -> None:
    with pytest.raises(error):
        classify_response(reply(status, body))
