"""The rules of a window: what was erased is neither stored nor read, and old days are reduced."""

from __future__ import annotations

from dataclasses import replace
from datetime import date

import pytest

from dagster_project.errors import SettingsError
from dagster_project.model.batch import Batch
from dagster_project.model.privacy import Rules, Suppression, identity_of
from dagster_project.pipeline.privacy_rules import (
    NO_RULES,
    encode_rows,
    privacy_rules,
    redact_response,
)
from dagster_project.privacy.erasure import forget
from dagster_project.warehouse.connection import Warehouse
from tests.support.loading import CALLTOUCH
from tests.support.operating import KEY, feed_of
from tests.vendors.calltouch.played import SITE, WINDOW, calltouch, read

NUMBER = "+79200000003"
SUPPRESSED = Suppression.from_identities(b"k" * 32, [identity_of(NUMBER)])
RULES = Rules(SUPPRESSED, date.min, b"r" * 32)


def test_a_feed_without_people_goes_by_no_rules(warehouse: Warehouse) -> None:
    feed = feed_of("tellody_activity")
    with (
        warehouse.connect(autocommit=True) as connection,
        privacy_rules(feed, connection, SITE, KEY) as rules,
    ):
        assert rules is NO_RULES
        assert not rules.suppression


def test_a_feed_with_people_goes_by_the_list_of_erased_numbers(warehouse: Warehouse) -> None:
    forget(warehouse, KEY, [identity_of(NUMBER)], [], lambda text: text)
    with (
        warehouse.connect(autocommit=True) as connection,
        privacy_rules(CALLTOUCH, connection, SITE, KEY) as rules,
    ):
        assert rules.suppression.find_suppressed([NUMBER, "+79200000004"]) == {NUMBER}
        assert rules.reduced_before == date.min, "no day was reduced"


def test_another_key_than_the_warehouses_is_refused(warehouse: Warehouse) -> None:
    with warehouse.connect(autocommit=True) as connection:
        with privacy_rules(CALLTOUCH, connection, SITE, KEY):
            pass
        with (
            pytest.raises(SettingsError, match="PII_HASH_KEY"),
            privacy_rules(CALLTOUCH, connection, SITE, "another key of the tests"),
        ):
            pass


def test_an_erased_number_is_in_neither_the_response_nor_its_rows() -> None:
    with calltouch(5) as (_, client):
        [response] = read(client)
    redacted = redact_response(CALLTOUCH, response, RULES)
    assert b"0000003" in response.body
    assert b"0000003" not in redacted.body
    batch = encode_rows(CALLTOUCH, CALLTOUCH.row_encoder(KEY), redacted, WINDOW, RULES)
    assert len(batch) == 5
    assert b"0000003" not in b"".join(batch.records)


def test_without_erased_numbers_a_response_is_handed_on_as_it_is() -> None:
    with calltouch(5) as (_, client):
        [response] = read(client)
    assert redact_response(CALLTOUCH, response, NO_RULES) is response
    empty = replace(RULES, suppression=Suppression(b"k" * 32))
    assert redact_response(CALLTOUCH, response, empty) is response


def test_days_before_the_reduction_carry_no_number_and_later_ones_do() -> None:
    with calltouch(5) as (_, client):
        [response] = read(client)
    encoder = CALLTOUCH.row_encoder(KEY)

    def encoded(reduced_before: date) -> Batch:
        rules = replace(NO_RULES, reduced_before=reduced_before, reduction_key=b"r" * 32)
        return encode_rows(CALLTOUCH, encoder, response, WINDOW, rules)

    assert b"7920" in b"".join(encoded(WINDOW.first_day).records)
    assert b"7920" not in b"".join(encoded(date(2024, 4, 2)).records)
