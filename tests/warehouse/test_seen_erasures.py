"""A copy of the database's files from before an erasure: the home's number and the list's tell that it is one."""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import date
from pathlib import Path

import psycopg
import pytest
from click.testing import Result

from dagster_project.errors import SettingsError
from dagster_project.warehouse import restored
from dagster_project.warehouse.connection import Warehouse
from dagster_project.warehouse.seen_erasures import SeenErasures
from dagster_project.warehouse.server.cluster import bundled_binaries
from tests.conftest import PostgresServer, scratch_folder
from tests.support.erasing import command
from tests.support.operating import SITE, again, environment

pytestmark = pytest.mark.long
NO_VENDOR = {
    "CALLTOUCH_BASE_URL": "http://127.0.0.1:1",
    "CALLTOUCH_ACCESS_TOKEN": "of the tests",
    "CALLTOUCH_SITE_IDS": SITE,
}
NUMBERS = ("+7 920 123-45-67", "+7 920 123-45-68")


class Copied:
    """A server of its own, whose files are put back as they were before anybody was erased."""

    def __init__(self, folder: Path) -> None:
        self.server = PostgresServer("18", bundled_binaries(), folder)
        self.warehouse = self.server.fresh()
        self.before = folder / "before"
        with self._stopped():
            subprocess.run(["cp", "-a", self.server.cluster.data, self.before], check=True)

    def put_back(self) -> None:
        """As after the restore of a base backup: the same system identifier, the same oid."""
        with self._stopped():
            shutil.rmtree(self.server.cluster.data)
            subprocess.run(["cp", "-a", self.before, self.server.cluster.data], check=True)

    @contextmanager
    def _stopped(self) -> Iterator[None]:
        self.server.cluster.stop()
        yield
        self.server.cluster.start(self.server.port)

    def is_restored(self) -> bool:
        with self.warehouse.connect() as connection:
            return connection.execute("SELECT ops.is_restored()").fetchone() == (True,)

    def readers_are_let_in(self) -> bool:
        with self.warehouse.connect_admin() as connection:
            connection.execute("SET ROLE warehouse_bi")
            try:
                connection.execute("SELECT FROM bi.sms_day")
            except psycopg.errors.InsufficientPrivilege:
                return False
        return True


@pytest.fixture(scope="module")
def server_of_its_own() -> Iterator[Copied]:
    folder = scratch_folder()
    copied = Copied(folder)
    yield copied
    copied.server.close()


@pytest.fixture
def copied(server_of_its_own: Copied) -> Copied:
    server_of_its_own.put_back()
    return server_of_its_own


class Home:
    """One ``WAREHOUSE_HOME`` on the warehouse."""

    def __init__(self, path: Path, warehouse: Warehouse, patch: pytest.MonkeyPatch) -> None:
        self.path, self.warehouse, self.patch = path, warehouse, patch
        path.mkdir()

    def run(self, *words: str, given: str = "") -> Result:
        for name, value in environment(self.warehouse, self.path, **NO_VENDOR).items():
            if value:
                self.patch.setenv(name, value)
        again(self.patch)
        return command(*words, given=given)

    def forget(self, number: str) -> None:
        assert self.run("forget", given=number).return_value == 0

    def export(self) -> str:
        self.run("forget", "--export", str(self.path / "list"))
        return str(self.path / "list")

    def is_refused(self) -> bool:
        """Whether a run is. The one asked for would do nothing: it lacks its new key."""
        with pytest.raises(SettingsError, match=r"restored dump|PII_HASH_KEY_NEW") as raised:
            self.run("rekey")
        return "restored dump" in str(raised.value)


@pytest.fixture
def home(copied: Copied, scratch: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Home]:
    yield Home(scratch / "home", copied.warehouse, monkeypatch)
    again(monkeypatch)


@pytest.fixture
def other_home(copied: Copied, scratch: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Home]:
    yield Home(scratch / "other", copied.warehouse, monkeypatch)
    again(monkeypatch)


def test_the_home_knows_a_copy_from_before_an_erasure_and_tells_every_other_home(
    copied: Copied, home: Home, other_home: Home
) -> None:
    home.forget(NUMBERS[0])
    assert not home.is_refused()
    copied.put_back()
    assert not copied.is_restored(), "the files are as they were, and stand where they stood"
    assert not other_home.is_refused(), "it has seen no erasure"
    with copied.warehouse.connect() as connection:
        assert restored.is_restored(connection, SeenErasures(home.path)), "seen by the doctor"
    assert home.is_refused()
    assert not copied.readers_are_let_in()
    assert other_home.is_refused(), "from now on it is known to the database"
    day = date(2026, 1, 1).isoformat()
    with pytest.raises(SettingsError, match="restored dump"):
        other_home.run("backfill", "--from", day, "--to", day)
    home.forget(NUMBERS[1])
    assert home.is_refused(), "one erasure does not stand for the one that is missing"
    assert home.run("forget", "--again").return_value == 0
    assert copied.readers_are_let_in()
    assert not home.is_refused()
    assert not other_home.is_refused()


def test_a_migration_closes_such_a_copy(copied: Copied, home: Home) -> None:
    home.forget(NUMBERS[0])
    copied.put_back()
    assert "restored dump" in home.run("migrate").output
    assert not copied.readers_are_let_in()


def test_an_older_list_lets_nobody_in_and_the_newest_does(
    copied: Copied, home: Home, other_home: Home
) -> None:
    home.forget(NUMBERS[0])
    older = home.export()
    other_home.forget(NUMBERS[1])
    newest = other_home.export()
    assert not home.is_refused(), "the home sees the other's erasure"
    copied.put_back()
    done = home.run("forget", "--import", older)
    assert done.return_value == 1
    assert "from before the newest erasure" in done.stderr
    assert home.is_refused()
    assert not copied.readers_are_let_in()
    assert home.run("forget", "--import", newest).return_value == 0
    assert copied.readers_are_let_in()
    assert not home.is_refused()


def test_where_the_home_is_lost_the_list_brings_its_number(
    copied: Copied, home: Home, other_home: Home
) -> None:
    home.forget(NUMBERS[0])
    newest = home.export()
    copied.put_back()
    assert other_home.run("forget", "--import", newest).return_value == 0
    copied.put_back()
    assert other_home.is_refused(), "the imported list's number is kept"


def test_a_damaged_number_is_refused(tmp_path: Path) -> None:
    seen = SeenErasures(tmp_path / "home")
    assert seen.highest("one") == 0
    for number in (3, 2, 4):
        seen.note("one", number)
    seen.note("another", 1)
    assert (seen.highest("one"), seen.highest("another")) == (4, 1)
    (tmp_path / "home" / "erasures.json").write_text("{")
    with pytest.raises(SettingsError, match=r"erasures\.json is damaged.*--import"):
        seen.highest("one")
