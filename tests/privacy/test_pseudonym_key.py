"""The key of the pseudonyms is the one that the warehouse was first loaded with."""

from __future__ import annotations

import pytest

from dagster_project.config.settings import load_settings
from dagster_project.errors import SettingsError
from dagster_project.privacy.pseudonym_key import check_fingerprint, pii_hash_key
from dagster_project.warehouse.connection import Warehouse

SECRET, OTHER = "a key of the tests, long enough", "another key of the tests, long enough"


def test_the_first_load_remembers_the_key_and_another_is_refused(warehouse: Warehouse) -> None:
    check_fingerprint(warehouse, SECRET)
    check_fingerprint(warehouse, SECRET)
    with pytest.raises(SettingsError) as refused:
        check_fingerprint(warehouse, OTHER)
    assert "warehouse rekey" in str(refused.value)
    assert OTHER not in str(refused.value)
    with warehouse.connect(autocommit=True) as connection:
        rows = connection.execute("SELECT fingerprint FROM ops.pii_key").fetchall()
    assert len(rows) == 1
    assert SECRET not in str(rows)


def test_the_setting_is_the_key() -> None:
    given = {"PII_HASH_KEY": SECRET, "WAREHOUSE_URL": "postgresql://u:p@127.0.0.1/d"}
    assert pii_hash_key(load_settings(given, dotenv=None)) == SECRET
