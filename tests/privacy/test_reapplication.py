"""The suppression list applied anew: what came back is erased again, from hashes alone."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import date
from pathlib import Path

import click
import pytest

from dagster_project.errors import SettingsError
from dagster_project.model.privacy import identity_of
from dagster_project.pipeline import personal_data, services
from dagster_project.privacy import erasure, suppression
from dagster_project.privacy.pseudonym_key import pii_hash_key
from dagster_project.privacy.reduction import reduce_old
from dagster_project.text import sealing
from dagster_project.vendors.calltouch.suppressed_phones import identities_of
from tests.cli.conftest import NEW
from tests.support.erasing import DIGITS, command, forget, traces
from tests.support.operating import KEY, House, again

pytestmark = pytest.mark.long

NUMBER = "+7 920 123-45-67"
EARLIER_LIST = Path(__file__).resolve().parents[1] / "data" / "suppression_list_1.json"
STANDING = (
    "SELECT sent_on, sms_key, occurrence, content_hash, phone, recipient, message"
    " FROM warehouse.calltouch_sms ORDER BY 1, 2, 3"
)
KEPT = ("warehouse.calltouch_sms", "raw.response", "ops.rejected_record")
UNFINISHED = "SELECT count(*) FROM ops.erasure WHERE finished_at IS NULL"


@contextmanager
def put_back(house: House) -> Iterator[None]:
    """After what is done inside, rows, responses and rejects are again what they were before."""
    with house.warehouse.connect_admin() as connection:
        for table in KEPT:
            copy = table.replace(".", "_")
            connection.execute(f"CREATE UNLOGGED TABLE kept_{copy} AS TABLE {table}".encode())
        yield
        for table in KEPT:
            copy = table.replace(".", "_")
            connection.execute(f"DELETE FROM {table}".encode())
            connection.execute(f"INSERT INTO {table} TABLE kept_{copy}".encode())
            connection.execute(f"DROP TABLE kept_{copy}".encode())


def reduce_rows(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    """Every loaded day is older than what is kept."""
    key = pii_hash_key(house.settings)
    reduce_old(services.warehouse(), key, personal_data.scopes(house.settings, key), -1)


def exported(file: Path) -> str:
    assert command("forget", "--export", str(file)).return_value == 0
    return file.read_text()


def test_what_came_back_is_erased_as_it_was_without_any_number(
    house: House, days: list[date]
) -> None:
    with put_back(house):
        forget(NUMBER)
        erased = house.rows(STANDING)
    assert traces(house), "the number is there again"
    done = command("forget", "--again")
    assert done.return_value == 0
    assert traces(house) == []
    assert house.rows(STANDING) == erased
    assert f"{9 * len(days)} rows of {len(days)} days" in done.stdout
    assert house.rows(UNFINISHED) == [(0,)]
    assert "0 rows of 0 days, 0 stored responses" in command("forget", "--again").stdout


def test_reduced_rows_are_known_by_the_pseudonym_that_was_noted(
    house: House, days: list[date], monkeypatch: pytest.MonkeyPatch
) -> None:
    reduce_rows(house, monkeypatch)
    with put_back(house):
        forget(NUMBER)
        erased = house.rows(STANDING)
    came_back = house.rows(STANDING)
    assert came_back != erased
    command("forget", "--again")
    assert house.rows(STANDING) == erased


def test_a_person_known_by_rows_with_a_number_is_found_in_reduced_ones(
    house: House, days: list[date], monkeypatch: pytest.MonkeyPatch
) -> None:
    with house.warehouse.connect_admin() as connection:
        connection.execute(
            "UPDATE warehouse.calltouch_sms SET phone = '(reduced)', phone_e164 = NULL,"
            " message = '(reduced)' WHERE sent_on = %s",
            (days[0],),
        )
    with put_back(house):
        forget(NUMBER)
        erased = house.rows(STANDING)
    with house.warehouse.connect_admin() as connection:
        connection.execute("DELETE FROM ops.suppressed_recipient")
    command("forget", "--again")
    assert house.rows(STANDING) == erased


class Killed(BaseException):
    pass


def test_an_erasure_that_was_killed_is_finished_without_its_numbers(
    house: House, days: list[date], monkeypatch: pytest.MonkeyPatch
) -> None:
    def killed(*_: object) -> None:
        raise Killed

    with monkeypatch.context() as patch:
        patch.setattr(erasure, "_rows", killed)
        with pytest.raises(Killed):
            forget(NUMBER)
    assert house.rows(UNFINISHED) == [(1,)]
    assert traces(house)
    command("forget", "--again")
    assert traces(house) == []
    assert house.rows(UNFINISHED) == [(0,)]


def test_an_exported_list_holds_no_number_and_is_its_owners_alone(
    house: House, days: list[date], tmp_path: Path
) -> None:
    forget(NUMBER)
    text = exported(tmp_path / "list")
    assert (tmp_path / "list").stat().st_mode & 0o777 == 0o600
    assert DIGITS not in re.sub("[^0-9a-f]", "", text)
    recipients = house.rows(
        "SELECT encode(recipient_hash, 'hex'), encode(number_hash, 'hex')"
        " FROM ops.suppressed_recipient ORDER BY 1"
    )
    assert len(recipients) == len(identities_of(identity_of(f"+7{DIGITS}")))
    number = recipients[0][1]
    on_screen = command("forget", "--export", "-").stdout
    assert number not in text + on_screen, "the hashes are sealed, too"
    for given in (text, on_screen):
        assert opened(house, given) == ([[number]], [list(one) for one in recipients])


def opened(house: House, text: str) -> tuple[list[list[str]], list[list[str]]]:
    """Hashes of an exported list's numbers, and its recipients."""
    with house.warehouse.connect() as connection:
        master = suppression.master_key(connection, KEY)
    key = sealing.derive_key(master, "exported suppression list")
    content = json.loads(sealing.unseal(json.loads(text)["sealed_list"].encode(), key))
    return [number[:1] for number in content["numbers"]], content["recipients"]


def test_a_list_that_an_earlier_version_exported_is_read(house: House, days: list[date]) -> None:
    done = command("forget", "--import", str(EARLIER_LIST))
    assert "new on the list, from the file: 1 number" in done.stderr
    assert done.return_value == 0
    assert traces(house) == []
    assert house.refresh(days), house.failure()
    assert traces(house) == []


def test_a_key_that_an_earlier_version_sealed_is_read_and_sealed_anew(house: House) -> None:
    sealed = json.loads(EARLIER_LIST.read_text())["sealed_key"]
    with house.warehouse.connect_admin() as connection:
        connection.execute("UPDATE ops.privacy SET sealed_key = decode(%s, 'hex')", (sealed,))
    with house.warehouse.connect(autocommit=True) as connection:
        master = suppression.master_key(connection, KEY)
        again = suppression.sealed_key(connection)
        assert again is not None
        assert again.startswith(b"gAAAA"), "a token of Fernet"
        assert suppression.master_key(connection, KEY) == master
        with pytest.raises(SettingsError, match="not the key"):
            suppression.master_key(connection, "another key, also long enough")


def without_the_list(house: House) -> None:
    """The books as a backup has them that was made before the erasure."""
    with house.warehouse.connect_admin() as connection:
        connection.execute("TRUNCATE ops.suppressed_recipient, ops.suppressed_number, ops.erasure")


@pytest.mark.parametrize("key", ["as it was", "not made yet", "another's, unused"])
def test_an_imported_list_erases_whoever_is_on_it(
    house: House, days: list[date], tmp_path: Path, key: str
) -> None:
    with put_back(house):
        forget(NUMBER)
        exported(tmp_path / "list")
    without_the_list(house)
    if key != "as it was":
        with house.warehouse.connect_admin() as connection:
            connection.execute("UPDATE ops.privacy SET sealed_key = NULL")
    if key == "another's, unused":
        command("forget", "--export", "-")
    done = command("forget", "--import", str(tmp_path / "list"))
    assert "new on the list, from the file: 1 number" in done.stderr
    assert traces(house) == []
    assert house.refresh(days), house.failure()
    assert traces(house) == []
    assert house.rows("SELECT count(*) FROM ops.suppressed_number") == [(1,)]


def test_a_list_from_after_a_rekey_fits_a_backup_from_before_it(
    house: House, days: list[date], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    [(sealed, mark)] = house.rows("SELECT sealed_key, fingerprint FROM ops.privacy, ops.pii_key")
    with put_back(house):
        command("rekey")
        again(monkeypatch, PII_HASH_KEY=NEW)
        forget(NUMBER)
        exported(tmp_path / "list")
    without_the_list(house)
    with house.warehouse.connect_admin() as connection:
        connection.execute("UPDATE ops.privacy SET sealed_key = %s", (sealed,))
        connection.execute("UPDATE ops.pii_key SET fingerprint = %s", (mark,))
    again(monkeypatch, PII_HASH_KEY=KEY)
    command("forget", "--import", str(tmp_path / "list"))
    assert traces(house) == []


@pytest.mark.parametrize(
    "damage", ["cut", "a number", "the key", "another's", "an earlier one's tag", "no list"]
)
def test_a_list_that_is_another_ones_or_damaged_is_refused_and_nothing_is_done(
    house: House, days: list[date], tmp_path: Path, damage: str
) -> None:
    forget("79210000001")
    text = exported(tmp_path / "list")
    content = json.loads(text)
    if damage == "a number":
        content["sealed_list"] = content["sealed_list"][:-9] + "AAAAAAA=="
    if damage == "the key":
        content["sealed_key"], content["sealed_list"] = "no token", "none"
    if damage == "another's":
        key = sealing.derive_key(
            b"another warehouse's key of its list", "exported suppression list"
        )
        content["sealed_list"] = sealing.seal(b"{}", key).decode()
    if damage == "an earlier one's tag":
        content = json.loads(EARLIER_LIST.read_text())
        content["numbers"][0][0] = "00" * 16
    given = {"cut": text[:-9], "no list": "[]"}.get(damage, json.dumps(content))
    (tmp_path / "given").write_text(given)
    before = house.rows("SELECT count(*) FROM ops.erasure")
    with pytest.raises(SettingsError, match=r"no suppression list|another warehouse's, or damaged"):
        command("forget", "--import", str(tmp_path / "given"))
    assert house.rows("SELECT count(*) FROM ops.erasure") == before
    assert house.rows("SELECT count(*) FROM ops.suppressed_number") == [(1,)]


def test_one_thing_at_a_time() -> None:
    with pytest.raises(click.UsageError):
        command("forget", "--again", "--export", "-")
