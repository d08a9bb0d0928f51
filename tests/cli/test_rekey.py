"""Rekeying: everything that hangs on the key follows the new one, also after a kill; nothing else changes."""

from __future__ import annotations

from datetime import date
from pathlib import Path
from typing import Any
from uuid import UUID, uuid4

import pytest
from click.testing import CliRunner, Result

from dagster_project.cli.main import warehouse as command
from dagster_project.cli.set_up import make_storage
from dagster_project.errors import SettingsError, TryLater
from dagster_project.pipeline import services
from dagster_project.privacy import rekey
from dagster_project.sandbox.server import Sandbox
from dagster_project.text.pseudonyms import fingerprint
from dagster_project.warehouse.server import embedded
from tests.cli.conftest import NEW
from tests.support.erasing import sms
from tests.support.operating import KEY, SITE, House, again, days_back

STANDING = (
    "SELECT sent_on, sms_key, occurrence, content_hash, recipient, template_id"
    " FROM warehouse.calltouch_sms ORDER BY 1, 2, 3"
)
PSEUDONYMS = "SELECT recipient, template_id FROM warehouse.calltouch_sms"


@pytest.fixture
def days(house: House, sandbox: Sandbox) -> list[date]:
    """One SMS has a text of its own: on many days the vendor sends none that is rare."""
    found = days_back(3)
    rare = sms(found[0], "79161234567", "Ваша шляпа осталась у нас")
    sandbox.world.calltouch.insert_rows(int(SITE), found[0], [rare])
    assert house.refresh(found), house.failure()
    done = run("forget", given="+7 999 000-00-00")
    assert done.return_value == 0
    return found


def run(*words: str, given: str = "") -> Result:
    return CliRunner().invoke(
        command, list(words), input=given, standalone_mode=False, catch_exceptions=False
    )


def test_after_a_rekey_a_reload_with_the_new_key_writes_nothing(
    house: House, days: list[date], monkeypatch: pytest.MonkeyPatch
) -> None:
    before, old = house.rows(STANDING), set(house.rows(PSEUDONYMS))
    labelled = house.rows("SELECT template_id FROM bi.template WHERE category <> 'rare'")
    reported = house.rows("SELECT sum(messages) FROM bi.sms_day")
    assert run("rekey").return_value == 0
    assert old.isdisjoint(house.rows(PSEUDONYMS))
    after = house.rows(STANDING)
    assert [row[:3] for row in after] == [row[:3] for row in before]
    again(monkeypatch, PII_HASH_KEY=NEW)
    assert house.refresh(days), house.failure()
    assert house.rows(STANDING) == after
    [(written,)] = house.rows(
        "SELECT sum(rows_inserted + rows_updated + rows_deleted) FROM ops.load_receipt"
        " WHERE receipt_id IN (SELECT receipt_id FROM ops.day_state)"
    )
    assert written == 0
    assert house.rows("SELECT sum(messages) FROM bi.sms_day") == reported
    now = house.rows("SELECT template_id FROM bi.template WHERE category <> 'rare'")
    assert len(now) == len(labelled)
    assert set(now).isdisjoint(labelled)
    assert {row[0] for row in now} <= {row[5] for row in after}


def test_the_marts_keep_no_pseudonym_of_the_old_key(house: House, days: list[date]) -> None:
    """Tallies of rare templates begin anew; a template that no row has any more goes, with its label."""
    forgotten, old = uuid4(), {row[1] for row in house.rows(PSEUDONYMS)}
    [(shown,), *_] = house.rows("SELECT template_id FROM bi.template WHERE category <> 'rare'")
    with house.warehouse.connect_admin() as connection:
        connection.execute(
            "INSERT INTO mart.template VALUES (%s, %s, 'Привет', 'unlabelled', 'Привет', 'unlabelled')",
            (SITE, forgotten),
        )
        for template in (shown, forgotten):
            connection.execute(
                "INSERT INTO mart.template_label VALUES (%s, 'Mine', 'mine', NULL)", (template,)
            )
    assert house.rows("SELECT count(*) > 0 FROM mart.rare_template") == [(True,)]
    assert run("rekey").return_value == 0
    kept = {
        row[0]
        for table in ("template", "template_label", "sms_day", "rare_template")
        for row in house.rows(f"SELECT template_id FROM mart.{table}")
    }
    now = {row[1] for row in house.rows(PSEUDONYMS)}
    assert old.isdisjoint(kept)
    assert forgotten not in kept
    assert kept <= {*now, UUID(int=0)}
    assert house.rows("SELECT count(*) FROM mart.rare_template") == [(0,)]
    assert house.rows("SELECT label FROM mart.template_label") == [("Mine",)]


def test_the_suppression_list_outlives_the_key(
    house: House, days: list[date], sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    run("rekey")
    again(monkeypatch, PII_HASH_KEY=NEW)
    day = days_back(4)[0]
    row = {
        "phoneNumber": "79990000000",
        "dateSent": f"{day:%d-%m-%Y} 09:00:00",
        "smsStatus": "delivered",
        "smsStatusDetail": "Доставлено",
        "smsMessage": "Здравствуйте",
    }
    sandbox.world.calltouch.replace_day(int(SITE), day, [row])
    assert house.refresh([day]), house.failure()
    assert house.rows("SELECT phone FROM warehouse.calltouch_sms WHERE sent_on = %s", day) == [
        ("(erased)",)
    ]
    assert house.rows("SELECT fingerprint, next_fingerprint FROM ops.pii_key") == [
        (fingerprint(NEW), None)
    ]


class Killed(BaseException):
    pass


def test_a_rekey_that_was_killed_is_finished_by_the_next_and_loads_wait_for_it(
    house: House, days: list[date], monkeypatch: pytest.MonkeyPatch
) -> None:
    done = []

    def one_day_only(*given: Any) -> None:
        if done:
            raise Killed
        done.append(rekey_day(*given))

    rekey_day = rekey._rekey_day
    with monkeypatch.context() as patch:
        patch.setattr(rekey, "_rekey_day", one_day_only)
        with pytest.raises(Killed):
            run("rekey")
    assert house.rows("SELECT count(*) FROM ops.rekeyed_day") == [(1,)]
    assert not house.refresh(days)
    assert "warehouse rekey" in house.failure()
    with pytest.raises(SettingsError, match="being recomputed"):
        run("forget", given="+7 999 000-00-01")
    assert "2 days recomputed" in run("rekey").stdout
    again(monkeypatch, PII_HASH_KEY=NEW)
    standing = house.rows(STANDING)
    assert house.refresh(days), house.failure()
    assert house.rows(STANDING) == standing
    assert house.rows("SELECT count(*) FROM ops.rekeyed_pseudonym") == [(0,)]


def test_a_second_rekey_is_refused_before_it_makes_a_key(house: House, days: list[date]) -> None:
    standing = house.rows(STANDING)
    with rekey.refuse_second_rekey(house.warehouse):
        with pytest.raises(TryLater, match="another rekey of this warehouse is under way"):
            run("rekey")
        assert house.rows("SELECT next_fingerprint FROM ops.pii_key") == [(None,)]
        assert house.rows(STANDING) == standing
    assert run("rekey").return_value == 0


def test_the_old_key_is_refused_afterwards_and_a_second_rekey_has_nothing_to_do(
    house: House, days: list[date]
) -> None:
    run("rekey")
    assert not house.refresh(days)
    assert "PII_HASH_KEY is not the key" in house.failure()
    assert "0 days recomputed" in run("rekey").stdout


def test_wrong_keys_are_refused_before_anything_is_done(
    house: House, days: list[date], monkeypatch: pytest.MonkeyPatch
) -> None:
    standing = house.rows(STANDING)
    for wrong, said in (
        (KEY, "is the old one"),
        ("$hort ¬ key", "shorter than 16"),
        ("", "not set"),
    ):
        again(monkeypatch, PII_HASH_KEY_NEW=wrong)
        with pytest.raises(SettingsError, match=said):
            run("rekey")
    again(monkeypatch, PII_HASH_KEY_NEW=NEW, PII_HASH_KEY="not the key of this warehouse")
    with pytest.raises(SettingsError, match="is not the key"):
        run("rekey")
    assert house.rows(STANDING) == standing
    assert services.settings().pii_hash_key is not None


def test_the_embedded_warehouse_gets_a_new_key_only_where_one_is_given_or_asked_for(
    scratch: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    home = scratch / "embedded"
    key = home / "secrets" / "pii_hash_key"
    for name in ("WAREHOUSE_URL", "DAGSTER_URL", "PII_HASH_KEY", "PII_HASH_KEY_NEW"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.chdir(scratch)
    again(monkeypatch, WAREHOUSE_HOME=str(home))
    try:
        assert run("migrate").return_value == 0
        with pytest.raises(SettingsError, match=r"PII_HASH_KEY_NEW is not set.*rekey --generate"):
            run("rekey")
        assert not key.with_name("pii_hash_key.next").exists()
        before = key.read_text()
        with (
            rekey.refuse_second_rekey(services.ready_warehouse(make_storage)),
            pytest.raises(TryLater, match="another rekey"),
        ):
            run("rekey", "--generate")
        assert not key.with_name("pii_hash_key.next").exists()
        assert run("rekey", "--generate").return_value == 0
        assert key.read_text() != before
    finally:
        embedded.stop(home)
        monkeypatch.undo()
        again(monkeypatch)
