"""Erasure: nothing of the number remains anywhere, nothing brings it back, and the counts stay true."""

from __future__ import annotations

import re
from datetime import date
from typing import Any

import pytest

from dagster_project.errors import SettingsError
from dagster_project.privacy import erasure
from dagster_project.sandbox.server import Sandbox
from tests.support.erasing import DIGITS, a_day, command, forget, traces
from tests.support.operating import SITE, House, days_back

STANDING = (
    "SELECT sent_on, sms_key, content_hash, sent_at, phone, phone_e164, country, recipient, status,"
    " outcome, reason, message, template_id, segments"
    " FROM warehouse.calltouch_sms ORDER BY 1, 2, 3"
)
COUNTS = (
    "SELECT sent_on, outcome, count(*), sum(segments) FROM warehouse.calltouch_sms"
    " GROUP BY 1, 2 ORDER BY 1, 2"
)


def last_receipts(house: House, days: list[date]) -> list[tuple[Any, ...]]:
    return house.rows(
        "SELECT rows_inserted + rows_updated + rows_deleted, rows_received FROM ops.load_receipt"
        " WHERE receipt_id IN (SELECT receipt_id FROM ops.day_state) ORDER BY day"
    )


def test_nothing_of_the_number_remains_and_the_counts_stay(house: House, days: list[date]) -> None:
    counts = house.rows(COUNTS)
    reported = house.rows("SELECT sum(messages), sum(segments) FROM bi.sms_day")
    done = forget("+7 920 123-45-67")
    assert done.return_value == 0
    assert traces(house) == []
    assert house.rows(COUNTS) == counts
    assert house.rows("SELECT sum(messages), sum(segments) FROM bi.sms_day") == reported
    erased = house.rows(
        "SELECT DISTINCT phone_e164, country, recipient IN (SELECT recipient"
        "  FROM warehouse.calltouch_sms WHERE phone <> '(erased)'), date_part('minute', sent_at)"
        " FROM warehouse.calltouch_sms WHERE phone = '(erased)'"
    )
    assert erased == [(None, None, False, 0.0)]
    [(count,)] = house.rows("SELECT count(*) FROM warehouse.calltouch_sms WHERE phone = '(erased)'")
    assert count == 5 * len(days)
    assert DIGITS not in re.sub("[^0-9]", "", done.stdout)


def test_a_reload_and_a_replay_write_nothing_and_bring_nothing_back(
    house: House, days: list[date]
) -> None:
    forget("89201234567")
    standing = house.rows(STANDING)
    assert house.refresh(days)
    assert house.rows(STANDING) == standing
    assert [written for written, _ in last_receipts(house, days)] == [0, 0]
    [(total,)] = house.rows(
        "SELECT vendor_total FROM ops.extraction ORDER BY extraction_id DESC LIMIT 1"
    )
    undated = len(days)  # one unreadable record a day says nothing of its day
    assert sum(received for _, received in last_receipts(house, days)) + undated == total
    assert house.replay(days)
    assert house.rows(STANDING) == standing
    assert [written for written, _ in last_receipts(house, days)] == [0, 0]
    assert traces(house) == []


def test_rows_lost_after_the_erasure_come_out_of_the_stored_responses_as_they_stood(
    house: House, days: list[date]
) -> None:
    forget("89201234567")
    standing = house.rows(STANDING)
    with house.warehouse.connect_admin() as connection:
        connection.execute("DELETE FROM warehouse.calltouch_sms")
    assert house.replay(days)
    assert house.rows(STANDING) == standing


def test_a_new_day_is_stored_without_the_number_and_a_status_still_ripens(
    house: House, days: list[date], sandbox: Sandbox
) -> None:
    forget("89201234567")
    new = days_back(3)[0]
    sandbox.world.calltouch.replace_day(int(SITE), new, a_day(new))
    assert house.refresh([new])
    assert traces(house) == []
    before = dict(
        house.rows(
            f"SELECT outcome, count(*) FROM ({STANDING}) s WHERE sent_on = '{new}' GROUP BY 1"
        )
    )
    sandbox.world.calltouch.replace_day(int(SITE), new, a_day(new, waiting="delivered"))
    assert house.refresh([new])
    after = dict(
        house.rows(
            f"SELECT outcome, count(*) FROM ({STANDING}) s WHERE sent_on = '{new}' GROUP BY 1"
        )
    )
    assert after["delivered"] == before["delivered"] + 1
    [(written,)] = house.rows(
        "SELECT rows_inserted + rows_updated + rows_deleted FROM ops.load_receipt"
        " ORDER BY receipt_id DESC LIMIT 1"
    )
    assert written == 1


def test_others_keep_their_rows_and_their_texts_but_for_the_digits(
    house: House, days: list[date]
) -> None:
    forget("89201234567")
    texts = [
        row[0]
        for row in house.rows(
            "SELECT message FROM warehouse.calltouch_sms WHERE phone LIKE '7921999999%%'"
            " AND sent_on = %s ORDER BY phone",
            days[0],
        )
    ]
    assert texts == [
        "Перезвоните: +7 000 000-00-00, Иван",
        "тел.8(000)0000000;код 12",
        "заказ 55580000000000 готов",
        "0 0 0 0 0 0 0 0 0 0",
        "позвоните 8 800 555-35-35",
    ]
    [(others,)] = house.rows(
        "SELECT count(*) FROM warehouse.calltouch_sms WHERE phone LIKE '7921000%%'"
    )
    assert others == 30 * len(days)


def test_the_receipt_says_how_much_and_not_whose(house: House, days: list[date]) -> None:
    forget("89201234567", "", "+79201234567")
    [(numbers, rows, responses, rejects, count, finished)] = house.rows(
        "SELECT numbers, rows_erased, responses, rejects, days, finished_at IS NOT NULL"
        " FROM ops.erasure"
    )
    assert numbers == 1, "the same number in two masks is one"
    assert rows == 9 * len(days)
    assert (responses > 0, rejects > 0, count, finished) == (True, True, len(days), True)


def test_forgetting_again_finds_nothing_and_a_second_person_does_not_disturb_the_first(
    house: House, days: list[date]
) -> None:
    forget("89201234567")
    assert "0 rows of 0 days, 0 stored responses and 0 rejected" in forget("89201234567").stdout
    forget("79210000007")
    assert traces(house, "9210000007") == []
    assert traces(house) == []
    standing = house.rows(STANDING)
    house.refresh(days)
    assert house.rows(STANDING) == standing


class Killed(BaseException):
    pass


def test_an_erasure_that_was_killed_stays_open_until_the_same_number_is_given_again(
    house: House, days: list[date], monkeypatch: pytest.MonkeyPatch
) -> None:
    def killed(*_: object) -> None:
        raise Killed

    with monkeypatch.context() as patch:
        patch.setattr(erasure, "_rows", killed)
        with pytest.raises(Killed):
            forget("89201234567")
    assert traces(house), "its rows are still to be done"
    forget("79210000007")
    unfinished = "SELECT count(*) FROM ops.erasure WHERE finished_at IS NULL"
    assert house.rows(unfinished) == [(1,)], "another person's erasure does not close it"
    forget("+7 920 123 45 67")
    assert house.rows(unfinished) == [(0,)]
    assert traces(house) == []


def test_a_load_after_a_killed_erasure_is_not_held_and_erases_its_days(
    house: House, days: list[date], monkeypatch: pytest.MonkeyPatch
) -> None:
    def killed(*_: object) -> None:
        raise Killed

    with monkeypatch.context() as patch:
        patch.setattr(erasure, "redact_rejects", killed)
        with pytest.raises(Killed):
            forget("89201234567")
    assert house.refresh(days), house.failure()
    rows = "SELECT count(*) FROM warehouse.calltouch_sms WHERE phone = '(erased)'"
    assert house.rows(rows) == [(5 * len(days),)]
    standing = house.rows(STANDING)
    forget("89201234567")
    assert traces(house) == []
    assert house.rows(STANDING) == standing, "the erasure finds nothing left in the rows"


def test_a_line_that_is_no_number_stops_before_anything_is_done(
    house: House, days: list[date]
) -> None:
    with pytest.raises(SettingsError, match="line 2 is not a telephone number") as raised:
        forget("89201234567", "Иван 12")
    assert "Иван" not in str(raised.value)
    with pytest.raises(SettingsError, match="holds no number"):
        forget("")
    assert house.rows("SELECT count(*) FROM ops.erasure") == [(0,)]
    assert traces(house)


def test_a_dry_run_counts_what_forget_rewrites_and_changes_nothing(
    house: House, days: list[date]
) -> None:
    def stored() -> list[list[tuple[Any, ...]]]:
        tables = (
            *("warehouse.calltouch_sms", "raw.response", "ops.rejected_record", "ops.erasure"),
            *("ops.suppressed_number", "ops.manual_act", "ops.day_state"),
        )
        return [house.rows(f"SELECT t::text FROM {table} t ORDER BY 1") for table in tables]

    before = stored()
    counted = command("forget", "--dry-run", given="+7 920 123-45-67").stdout
    assert stored() == before
    figures = counted.splitlines()[-1].removesuffix(" would be rewritten. Nothing was changed.")
    assert figures.startswith("1 number; ")
    assert f": {figures} were rewritten." in forget("+7 920 123-45-67").stdout
    again = command("forget", "--dry-run", given="+7 920 123-45-67").stdout
    assert "1 number; 0 rows of 0 days, 0 stored responses and 0 rejected records would" in again


def test_a_list_that_cannot_be_written_is_refused_with_the_file(house: House) -> None:
    file = house.settings.home / "no folder" / "list.json"
    with pytest.raises(SettingsError, match=r"list\.json cannot be written \(No such file"):
        command("forget", "--export", str(file))
