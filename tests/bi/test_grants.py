"""ops.bi_grant: which accounts a reader sees, and that nothing a reader can say widens it."""

from __future__ import annotations

from typing import Any

import pytest
from psycopg import errors as pg
from psycopg import sql

from dagster_project.warehouse.connection import Warehouse
from tests.bi.conftest import DAY, Loads, Readers, sms

pytestmark = pytest.mark.both_servers

SITES = "SELECT array_agg(DISTINCT site_id ORDER BY site_id) FROM bi.{}"


@pytest.fixture
def two_sites(loads: Loads) -> None:
    for site in (101, 202):
        loads.sms(DAY, [sms("+79160000001"), sms("+79160000002", outcome="failed")], site)
    activity = dict.fromkeys(
        ("sms_sent", "email_sent", "downloads", "optouts", "url_clicks", "vouchers_viewed"), 1
    )
    loads.rows("tellody_activity", "main", DAY, [activity])
    loads.count_months()


@pytest.fixture
def grant(warehouse: Warehouse) -> Any:
    """Grants an account to a role; a group is made where there is none."""

    def give(role: str, vendor: str, account: str | None) -> None:
        with warehouse.connect_admin() as connection:
            connection.execute(
                "INSERT INTO ops.bi_grant VALUES (%s::text::regrole, %s, %s)",
                (role, vendor, account),
            )

    return give


@pytest.mark.usefixtures("two_sites")
def test_without_grants_every_account_is_seen(readers: Readers) -> None:
    assert readers.one(SITES.format("sms_day")) == [101, 202]
    assert readers.one("SELECT count(*) FROM bi.account") == 3


@pytest.mark.usefixtures("two_sites")
def test_a_granted_user_sees_its_accounts_in_every_view(readers: Readers, grant: Any) -> None:
    user = readers.user("bi_test_one_site", "warehouse_bi_pii")
    grant(user, "calltouch", "101")
    for view in (
        "sms_day", "sms_hour", "sms_reach", "sms_maturity", "template",
    ):  # fmt: skip
        assert readers.one(SITES.format(view), user) == [101], view
    rows = "SELECT array_agg(DISTINCT site_id) FROM bi_detail.sms_detail"
    assert readers.one(rows, user) == [101]
    assert readers.one("SELECT array_agg(DISTINCT site_id) FROM bi_pii.sms", user) == [101]
    for view in ("account", "messaging_day", "data_status", "data_until"):
        accounts = readers.ask(f"SELECT DISTINCT vendor, account FROM bi.{view}", user)
        assert accounts == [("calltouch", "101")], view
    assert readers.one("SELECT count(*) FROM bi.tellody_activity_day", user) == 0


@pytest.mark.usefixtures("two_sites")
def test_others_are_not_held_to_a_grant_of_somebody_elses(readers: Readers, grant: Any) -> None:
    user = readers.user("bi_test_free", "warehouse_bi")
    grant(readers.user("bi_test_held", "warehouse_bi"), "calltouch", "101")
    assert readers.one(SITES.format("sms_day"), user) == [101, 202]


@pytest.mark.usefixtures("two_sites")
def test_grants_of_several_roles_add_up_and_a_vendor_may_be_granted_whole(
    readers: Readers, grant: Any
) -> None:
    group = readers.user("bi_test_group", "warehouse_bi")
    user = readers.user("bi_test_member", "warehouse_bi", group)
    grant(group, "tellody", None)
    grant(user, "calltouch", "202")
    seen = readers.ask("SELECT vendor, account FROM bi.account ORDER BY 1", user)
    assert seen == [("calltouch", "202"), ("tellody", "main")]


@pytest.mark.usefixtures("two_sites")
def test_working_as_a_wider_role_widens_nothing(readers: Readers, grant: Any) -> None:
    user = readers.user("bi_test_climber", "warehouse_bi")
    grant(user, "calltouch", "101")
    with readers.session(user) as connection:
        for attempt in (
            "SET ROLE warehouse_bi",
            "SET row_security = off",
            "SELECT set_config('warehouse.account', '202', false)",
            "SELECT set_config('role', 'warehouse_bi', false)",
        ):
            connection.execute(attempt)
            try:
                rows = connection.execute(SITES.format("sms_day")).fetchall()
            except pg.InsufficientPrivilege:
                connection.execute("RESET row_security")
                continue
            assert rows == [([101],)], attempt


@pytest.mark.usefixtures("two_sites")
def test_a_role_is_held_to_its_grants_however_it_is_come_by(readers: Readers, grant: Any) -> None:
    """A shared login that works as its tenants sees of each what that tenant may see."""
    tenant = readers.user("bi_test_tenant", "warehouse_bi")
    pool = readers.user("bi_test_pool", tenant)
    grant(tenant, "calltouch", "202")
    with readers.session(pool) as connection:
        connection.execute(sql.SQL("SET ROLE {}").format(sql.Identifier(tenant)))
        assert connection.execute(SITES.format("sms_day")).fetchall() == [([202],)]


@pytest.mark.usefixtures("two_sites")
@pytest.mark.parametrize(
    ("view", "column"),
    [
        ("bi.sms_day", "account_label"), ("bi.messaging_day", "account"), ("bi.data_status", "account"),
        ("bi.account", "account"), ("bi_detail.sms_detail", "site_id::text"),
    ],
)  # fmt: skip
def test_a_failing_cast_never_sees_another_account(
    readers: Readers, grant: Any, view: str, column: str
) -> None:
    """A division by zero tells of the row it fails on: hidden rows must not come that far."""
    user = readers.user("bi_test_prober", "warehouse_bi_detail")
    grant(user, "calltouch", "101")
    probe = f"SELECT count(*) FROM {view} WHERE 1 / ({column} <> '202')::int = 1"
    assert readers.one(probe, user) > 0


@pytest.mark.usefixtures("two_sites")
def test_the_marts_are_refreshed_whoever_is_restricted(
    loads: Loads, readers: Readers, grant: Any
) -> None:
    for role in ("warehouse_bi", "warehouse_app"):
        grant(role, "calltouch", "101")
    loads.sms(DAY, [sms("+79160000003")], 202)
    readers.user("bi_test_any", "warehouse_bi")
    assert readers.one(SITES.format("sms_day"), "bi_test_any") == [101]
    with loads.warehouse.connect_admin() as connection:
        connection.execute("DELETE FROM ops.bi_grant")
    assert readers.one("SELECT sum(messages) FROM bi.sms_day WHERE site_id = 202") == 1
