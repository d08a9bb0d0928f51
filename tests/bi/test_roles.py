"""What each BI role may do, tried by signing in as it on a real server."""

from __future__ import annotations

from typing import Any

import psycopg
import pytest
from psycopg import errors as pg

from tests.bi.conftest import DAY, Loads, Readers, sms

pytestmark = pytest.mark.both_servers

PHONE = "+79161234567"
SECRET = "Ваш код авторизации: 14111"
RARE = "Иван Петрович, ваш анализ готов"
BI_ROLES = ("warehouse_bi", "warehouse_bi_detail", "warehouse_bi_pii")


FORBIDDEN = (
    "SELECT * FROM warehouse.calltouch_sms",
    "SELECT * FROM warehouse.calltouch_sms_2024_04",
    "SELECT * FROM raw.response",
    "SELECT * FROM ops.rejected_record",
    "SELECT * FROM ops.day_state",
    "SELECT * FROM ops.bi_grant",
    "SELECT * FROM mart.rare_template",
    "SELECT * FROM mart.sms_day",
    "SELECT * FROM mart.visible_account",
    "INSERT INTO ops.bi_grant VALUES ('warehouse_bi', 'calltouch', NULL)",
    "UPDATE bi.account SET time_zone = 'x'",
    "DELETE FROM bi.date_day",
    "SELECT mart.refresh_month(101, '2024-04-01')",
    "SELECT mart.guess_category('x')",
    "SELECT ops.ensure_month('warehouse.calltouch_sms', '2024-04-01')",
    "SELECT pg_advisory_lock(1)",
    "SELECT pg_try_advisory_xact_lock_shared(1, 2)",
    "SELECT pg_advisory_unlock_all()",
    "SELECT lo_create(0)",
    "CREATE TEMP TABLE t (a int)",
    "CREATE TABLE bi.t (a int)",
    "CREATE TABLE public.t (a int)",
    "CREATE SCHEMA s",
    "CREATE FUNCTION bi.leak(text) RETURNS boolean LANGUAGE sql AS 'SELECT true'",
    "DO $$ BEGIN LOCK TABLE warehouse.calltouch_sms IN ACCESS SHARE MODE; END $$",
    "COPY (SELECT 1) TO PROGRAM 'true'",
    "SELECT pg_read_file('/etc/hostname')",
    "SET ROLE warehouse_owner",
    "SET ROLE warehouse_loader",
    "SET SESSION AUTHORIZATION warehouse_owner",
)


@pytest.fixture
def private(loads: Loads) -> None:
    """A day that holds a phone number, a code and a name."""
    loads.sms(DAY, [sms(PHONE, SECRET), sms(PHONE, RARE, "failed", "invalid_number")])
    loads.count_months()


def views(readers: Readers, user: str) -> list[str]:
    return [
        row[0]
        for row in readers.ask(
            "SELECT format('%I.%I', n.nspname, c.relname) FROM pg_class c"
            " JOIN pg_namespace n ON n.oid = c.relnamespace"
            " WHERE c.relkind IN ('r', 'p', 'v', 'm', 'f') AND n.nspname !~ '^pg_'"
            " AND n.nspname <> 'information_schema' AND has_schema_privilege(n.oid, 'USAGE')"
            " AND has_any_column_privilege(c.oid, 'SELECT') ORDER BY 1",
            user,
        )
    ]


@pytest.mark.usefixtures("private")
def test_bi_reads_the_views_of_bi_and_nothing_else(readers: Readers) -> None:
    readable = views(readers, "warehouse_bi")
    assert set(readable) == {
        f"bi.{name}"
        for name in (
            "account", "credit_purchase", "data_status", "data_until", "date_day", "messaging_day",
            "sms_bad_numbers", "sms_day", "sms_hour", "sms_maturity", "sms_reach", "template",
            "data_arrival", "month_check", "restatement", "sms_cost", "sms_frequency", "sms_template_hour",
            "tellody_activity_day", "trust_day", "trust_window",
        )
    }  # fmt: skip
    for view in readable:
        readers.ask(f"SELECT * FROM {view} LIMIT 5")


@pytest.mark.usefixtures("private")
def test_detail_and_pii_add_their_own_views(readers: Readers) -> None:
    bi, detail, pii = (set(views(readers, role)) for role in BI_ROLES)
    assert detail - bi == {"bi_detail.sms_detail"}
    assert pii - detail == {"bi_pii.sms"}
    assert bi < detail < pii
    assert readers.one("SELECT count(*) FROM bi_detail.sms_detail", "warehouse_bi_detail") == 2
    assert readers.one("SELECT phone FROM bi_pii.sms LIMIT 1", "warehouse_bi_pii") == PHONE


@pytest.mark.usefixtures("private")
@pytest.mark.parametrize("user", ["warehouse_bi", "warehouse_bi_detail"])
def test_no_view_shows_a_number_a_code_or_a_name(readers: Readers, user: str) -> None:
    for view in views(readers, user):
        text = str(readers.ask(f"SELECT t::text FROM {view} t", user))
        for secret in (PHONE, PHONE[1:], "9161234567", "14111", "Иван", "Петрович"):
            assert secret not in text, view


@pytest.mark.usefixtures("private")
def test_what_a_reader_must_not_do(readers: Readers) -> None:
    done = []
    for user in BI_ROLES:
        with readers.session(user) as connection:
            for statement in FORBIDDEN:
                try:
                    connection.execute(statement)
                except pg.InsufficientPrivilege:
                    continue
                done.append((user, statement))
    assert done == []


@pytest.mark.usefixtures("private")
def test_bi_and_detail_stay_out_of_the_views_above_them(readers: Readers) -> None:
    for user, view in (
        ("warehouse_bi", "bi_detail.sms_detail"),
        ("warehouse_bi", "bi_pii.sms"),
        ("warehouse_bi_detail", "bi_pii.sms"),
    ):
        with pytest.raises(pg.InsufficientPrivilege):
            readers.ask(f"SELECT * FROM {view}", user)


@pytest.mark.usefixtures("private")
def test_a_rare_text_leaks_through_no_failing_cast(readers: Readers) -> None:
    """A cast that fails quotes its value: it must never be applied to a row that is hidden."""
    for view in ("bi.template", "bi.sms_day"):
        with pytest.raises(pg.InvalidTextRepresentation) as caught:
            readers.ask(f"SELECT 1 FROM {view} WHERE template_label::int > 0")
        assert "(rare)" in str(caught.value)


def test_the_bi_role_cannot_enter_dagsters_database(
    warehouse_with_dagster: Any, readers: Readers
) -> None:
    place = {**warehouse_with_dagster.place, "dbname": warehouse_with_dagster.dagster_database}
    for user in BI_ROLES:
        with pytest.raises(psycopg.OperationalError, match="permission denied"):
            psycopg.connect(**place, user=user, password=readers.password(user))


def test_every_function_of_ours_is_closed_to_everybody(readers: Readers) -> None:
    """PUBLIC, and so any reader, may execute none."""
    open_to_all = readers.ask(
        "SELECT p.oid::regprocedure::text FROM pg_proc p JOIN pg_namespace n ON n.oid = p.pronamespace"
        " WHERE n.nspname IN ('raw', 'warehouse', 'ops', 'mart', 'bi', 'bi_detail', 'bi_pii')"
        " AND has_function_privilege('public', p.oid, 'EXECUTE')"
    )
    assert open_to_all == []
