"""The fingerprint of how rows are encoded: it differs wherever rows may."""

from __future__ import annotations

import ast
import shutil
import subprocess
import sys
from dataclasses import replace
from datetime import date, timedelta
from pathlib import Path
from zoneinfo import ZoneInfo

import psutil
import pytest

from dagster_project.model.feed import Feed
from dagster_project.model.privacy import Rules, Suppression
from dagster_project.model.window import Account
from dagster_project.pipeline import encoding
from dagster_project.pipeline.encoding import PACKAGE, encoding_of, libraries, read_source
from tests.support.loading import CALLTOUCH
from tests.support.operating import KEY, feed_of
from tests.vendors.calltouch.played import DAY, SITE, WINDOW

RULES = Rules(Suppression(b""), date.min, b"")


def test_it_is_the_same_for_other_days_of_the_account_and_differs_for_all_else(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    own = encoding_of(CALLTOUCH, WINDOW, RULES, KEY)
    assert own
    later = replace(WINDOW, first_day=DAY + timedelta(days=1), last_day=DAY + timedelta(days=9))
    assert encoding_of(CALLTOUCH, later, RULES, KEY) == own
    others = {encoding_of(CALLTOUCH, WINDOW, RULES, "w3Lz-8430-Qk")}
    for account in (
        Account("calltouch", "102", SITE.time_zone),
        Account("calltouch", "101", ZoneInfo("Asia/Omsk")),
        Account("calltouch", "101", ZoneInfo("Europe/Minsk")),
    ):
        others.add(encoding_of(CALLTOUCH, replace(WINDOW, account=account), RULES, KEY))
    encoding._fingerprint.cache_clear()
    monkeypatch.setattr(encoding, "_zone_rules", lambda zone: b"a newer time zone database")
    others.add(encoding_of(CALLTOUCH, WINDOW, RULES, KEY))
    encoding._fingerprint.cache_clear()
    monkeypatch.setattr(encoding, "read_source", lambda: b"other code")
    others.add(encoding_of(CALLTOUCH, WINDOW, RULES, KEY))
    encoding._fingerprint.cache_clear()
    assert None not in others
    assert len(others - {own}) == 6


def test_it_is_not_known_where_days_are_reduced() -> None:
    reduced = replace(RULES, reduced_before=DAY + timedelta(days=1))
    assert encoding_of(CALLTOUCH, WINDOW, reduced, KEY) is None


@pytest.mark.parametrize("source", ["tellody_activity", "tellody_purchases", "trust"])
def test_it_is_not_known_of_feeds_that_ask_otherwise(source: str) -> None:
    feed: Feed = feed_of(source)
    assert encoding_of(feed, WINDOW, RULES, KEY) is None


def test_it_is_not_known_once_the_code_has_changed_under_a_process(
    tmp_path: Path,
) -> None:
    assert read_source(PACKAGE)
    copy = tmp_path / "package"
    shutil.copytree(PACKAGE / "text", copy)
    assert read_source(copy) is None, "its files are newer than this process"


def test_each_line_and_name_of_the_code_counts(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Later:
        def create_time(self) -> float:
            return sys.float_info.max

    monkeypatch.setattr(psutil, "Process", Later)
    found = set()
    for number, (name, line) in enumerate(
        [("rows.py", "a = 1"), ("rows.py", "a = 2"), ("other.py", "a = 2")]
    ):
        folder = tmp_path / str(number)
        folder.mkdir()
        (folder / name).write_text(line)
        found.add(read_source(folder))
    assert len(found) == 3


def test_every_library_that_encoders_use_counts() -> None:
    """Of what these rooms import, settings, types and the sealing of keys alone decide no row."""
    allowed = {"dagster_project", *libraries(), *("pydantic", "typing_extensions", "cryptography")}
    found = set()
    for room in ("vendors/calltouch", "text", "model"):
        for file in (PACKAGE / room).rglob("*.py"):
            for node in ast.walk(ast.parse(file.read_text())):
                if isinstance(node, ast.ImportFrom):
                    found.add((node.module or "").partition(".")[0])
                elif isinstance(node, ast.Import):
                    found |= {name.name.partition(".")[0] for name in node.names}
    assert found - allowed - sys.stdlib_module_names == set()


def test_a_run_does_not_import_the_library_of_phone_numbers_until_one_is_encoded() -> None:
    program = "import sys, dagster_project.pipeline.runner; print('phonenumbers' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True)
    assert done.stdout.strip() == "False", done.stderr
