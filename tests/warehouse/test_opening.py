"""A session that is not opened says why, and what to do."""

from __future__ import annotations

import traceback
from typing import Any

import pytest

from dagster_project.errors import SettingsError, TryLater, WarehouseError
from dagster_project.warehouse.connection import Warehouse


@pytest.mark.both_servers
@pytest.mark.parametrize(
    ("change", "expected", "said"),
    [
        ({"password": "wrong-password"}, SettingsError, "password is not accepted"),
        ({"user": "nobody_known"}, SettingsError, "password is not accepted"),
        ({"dbname": "no_such_database"}, SettingsError, "there is no such database"),
        ({"port": "1"}, TryLater, "no connection"),
        ({"sslmode": "verify-full"}, SettingsError, "the server does not encrypt"),
    ],
)
def test_a_refused_connection_names_the_way_out(
    warehouse: Warehouse, change: dict[str, str], expected: type[WarehouseError], said: str
) -> None:
    given = {**warehouse.place, "user": "postgres", **_password(warehouse), **change}
    url = f"postgresql://{given['user']}:{given['password']}@{given['host']}:{given['port']}"
    url += f"/{given['dbname']}" + (f"?sslmode={given['sslmode']}" if "sslmode" in given else "")

    with pytest.raises(expected, match=f"{said}.*Way out") as caught:
        Warehouse.from_url(url).connect_admin()

    assert given["password"] not in "".join(traceback.format_exception(caught.value))


def test_an_unmigrated_database_says_to_migrate(server: Any) -> None:
    unmigrated = server.on("postgres")
    password = _password(unmigrated)["password"]
    url = f"postgresql://postgres:{password}@{server.server.host}:{server.port}/template1"

    with pytest.raises(SettingsError, match="run `warehouse migrate`"):
        Warehouse.from_url(url).connect(role="no_such_role")


def _password(warehouse: Warehouse) -> dict[str, str]:
    assert warehouse.admin.password is not None
    return {"password": warehouse.admin.password.get_secret_value()}
