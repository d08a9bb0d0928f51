"""What the tests of nights with a real daemon share: their sites, their moment of the night, the truth."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import date, datetime
from zoneinfo import ZoneInfo

from psycopg import sql

from dagster_project.warehouse.connection import Warehouse
from tests.support.installation import Installation
from tests.support.nights import observed_at, sms_of, truth_of

ATHENS = ZoneInfo("Europe/Athens")
SITE, OTHER = "601", "602"


def night(day: date) -> datetime:
    """Ten to three, after every schedule of the zone has ticked."""
    return datetime(day.year, day.month, day.day, 2, 50, tzinfo=ATHENS)


@contextmanager
def nobody_let_in(warehouse: Warehouse) -> Iterator[None]:
    """The warehouse takes no new connection; Dagster's own database does."""
    allow = sql.SQL("ALTER DATABASE {} ALLOW_CONNECTIONS {}")
    name = sql.Identifier(warehouse.database)
    with warehouse.connect_admin(database="postgres", autocommit=True) as connection:
        connection.execute(allow.format(name, sql.Literal(False)))
        try:
            yield
        finally:
            connection.execute(allow.format(name, sql.Literal(True)))


def every_day_is_right(installation: Installation) -> None:
    """Each day holds what the vendor told when it was last asked for it."""
    nights = installation.nights
    calltouch = nights.sandbox.world.calltouch
    for site in (SITE, OTHER):
        for day in nights.settled(site):
            at = observed_at(nights.house, site, day)
            truth = truth_of(calltouch.rows(int(site), day, day, at))
            assert sms_of(nights.house, site, ATHENS, day) == truth, (site, day)
