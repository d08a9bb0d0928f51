"""Where Dagster keeps its storage, and how its processes reach it."""

from __future__ import annotations

import pytest
from pydantic import SecretStr

from dagster_project.errors import SettingsError
from dagster_project.warehouse.connection import Warehouse
from dagster_project.warehouse.dagster_storage import MADE_FOR, DagsterStorage, made_for


def test_a_url_is_taken_apart_and_put_together_with_what_sessions_need() -> None:
    storage = DagsterStorage.from_url(SecretStr("postgresql://dagster:s%20ecret@127.0.0.1:5433/d"))
    assert (storage.database, storage.user, storage.password) == ("d", "dagster", "s ecret")
    url = storage.url(180000)
    assert url.startswith("postgresql+psycopg2://dagster:s%20ecret@")
    assert "options=" in url
    assert storage.setting == "DAGSTER_URL"


def test_another_scheme_is_refused_by_the_settings_name() -> None:
    with pytest.raises(SettingsError, match="DAGSTER_URL"):
        DagsterStorage.from_url(SecretStr("mysql://u:p@h/d"))


def test_tables_say_for_which_dagster_they_were_made(warehouse_with_dagster: Warehouse) -> None:
    storage = warehouse_with_dagster.storage
    assert storage.is_up_to_date()
    with storage.connect() as connection:
        assert made_for(connection) == MADE_FOR
        connection.execute("COMMENT ON TABLE public.alembic_version IS 'of an older one'")
        assert not storage.is_up_to_date()


def test_a_database_without_the_tables_says_so(warehouse: Warehouse) -> None:
    with warehouse.connect_admin() as connection:
        assert made_for(connection) is None
