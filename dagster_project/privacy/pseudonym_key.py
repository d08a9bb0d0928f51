"""The pseudonym key: find it, and check that this warehouse was loaded with it.

The key itself is never in the database; ``ops.pii_key`` has its fingerprint. Loading with another key would
give the same people new pseudonyms, so it is refused.
"""

from __future__ import annotations

from dagster_project.config.settings import Settings
from dagster_project.errors import SettingsError
from dagster_project.text import remedies
from dagster_project.text.pseudonyms import fingerprint
from dagster_project.warehouse.connection import Connection, Warehouse
from dagster_project.warehouse.queries import fetch_value
from dagster_project.warehouse.server import embedded


def pii_hash_key(settings: Settings) -> str:
    """``PII_HASH_KEY``, or the key that the embedded warehouse made for itself."""
    if settings.pii_hash_key is not None:
        return settings.pii_hash_key.get_secret_value()
    return embedded.pii_hash_key(settings.home).get_secret_value()


def check_fingerprint(warehouse: Warehouse, key: str) -> None:
    """Check that the key is this warehouse's, as ``compare_fingerprint``."""
    with warehouse.connect(what="key", autocommit=True) as connection:
        compare_fingerprint(connection, key)


def compare_fingerprint(connection: Connection, key: str) -> None:
    """Compare the key with the warehouse's; the first load records its fingerprint. In autocommit.

    Raises:
        SettingsError: the warehouse was loaded with another key.
    """
    mark = fingerprint(key)
    connection.execute(
        "INSERT INTO ops.pii_key (fingerprint) VALUES (%s) ON CONFLICT DO NOTHING", (mark,)
    )
    if fetch_value(connection, "SELECT fingerprint FROM ops.pii_key") != mark:
        raise SettingsError(
            "PII_HASH_KEY is not the key that this warehouse was loaded with.",
            hint=remedies.RESTORE_KEY,
        )
