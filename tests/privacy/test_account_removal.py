"""An account is taken out of every table that knows it, and of nothing else; a stopped removal is finished."""

from __future__ import annotations

import hashlib
import threading
from collections.abc import Iterator
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

import psycopg
import pytest
from click.testing import CliRunner
from psycopg import sql

from dagster_project.cli.main import warehouse as command
from dagster_project.errors import SettingsError, TryLater
from dagster_project.model.feed import QueryScope
from dagster_project.model.window import Account
from dagster_project.orchestration.status_page import page
from dagster_project.pipeline import services
from dagster_project.pipeline.marts_upkeep import sms_mask
from dagster_project.privacy import account_removal, suppression
from dagster_project.privacy.account_removal import AccountData
from dagster_project.sandbox.server import Sandbox, running_sandbox
from dagster_project.warehouse.connection import Warehouse
from tests.conftest import PostgresServer
from tests.support.operating import SITE, House, again, days_back, feed_of, operating
from tests.warehouse.server.homes import wait_until

OTHER_SITE = "40101"
SOURCES = ("calltouch", "tellody_activity", "tellody_purchases", "trust")
ACCOUNT_COLUMNS = ("account", "accounts", "site_id", "company_id")
NAMING = """
SELECT n.nspname, c.relname, array_agg(a.attname::text ORDER BY a.attname)
FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
JOIN pg_attribute a ON a.attrelid = c.oid AND NOT a.attisdropped AND a.attname = ANY (%s)
WHERE n.nspname IN ('ops', 'raw', 'warehouse', 'mart') AND c.relkind IN ('r', 'p')
    AND NOT c.relispartition
GROUP BY 1, 2 ORDER BY 1, 2
"""
# What a load of two days leaves empty, so that there is something to be taken out of it.
SEEDS = (
    "INSERT INTO ops.point_reservation (reservation_id, source, account, spent_on, points, holder, expires_at)"
    " VALUES (gen_random_uuid(), 'calltouch', '{a}', current_date, 1, 0, now())",
    "INSERT INTO ops.point_ledger (source, account, spent_on, points) VALUES"
    " ('calltouch', '{a}', current_date - 1, 5) ON CONFLICT DO NOTHING",
    "INSERT INTO ops.wanted_range (source, account, first_day, last_day, asked_at)"
    " VALUES ('calltouch', '{a}', '2024-01-01', '2024-01-02', now())",
    "INSERT INTO ops.reconciliation (source, account, month, asked_at, asked_on, newest_receipt_id, outcome,"
    " requests, points, code_version) VALUES ('calltouch', '{a}', '2024-01-01', now(), current_date, 1,"
    " 'agrees', 1, 1, '1')",
    "INSERT INTO ops.range_proof (source, server, params, state, account, asked_at, reason, evidence)"
    " VALUES ('calltouch', 'server', 'params', 'unproven', '{a}', now(), 'seen', '{{}}')",
    "INSERT INTO ops.rekeyed_day (source, account, day) VALUES ('calltouch', '{a}', '2024-01-01')",
    "INSERT INTO ops.rejected_record (source, account, record_sha256, reason, day, original,"
    " first_extraction_id, last_extraction_id) VALUES ('calltouch', '{a}', 'x', 'r', NULL, 'o', 1, 1)",
    "INSERT INTO ops.bi_grant VALUES ('warehouse_bi_pii', 'calltouch', '{a}'),"
    " ('warehouse_bi_pii', 'trust', NULL), ('warehouse_bi_detail', 'calltouch', '{a}')",
    "INSERT INTO mart.stale (site_id, month) VALUES ({a}, '2024-01-01')",
    "INSERT INTO mart.sms_bad_numbers VALUES ('2024-01-01', {a}, 'blocked', 1, 1) ON CONFLICT DO NOTHING",
    "INSERT INTO mart.sms_price (vendor, account, per, price, valid_from, currency)"
    " VALUES ('calltouch', '{a}', 'segment', 1, '2024-01-01', 'EUR')",
    "INSERT INTO mart.rare_template VALUES ({a}, gen_random_uuid(), '{{1}}', '2024-01-01')",
    "INSERT INTO mart.sms_price VALUES"
    " ('calltouch', '{a}', NULL, 'segment', 1, '2024-01-01', DEFAULT, 'RUB')",
)
ALARM = (
    "INSERT INTO ops.alarm (subject, kind, severity, source, accounts, days, what, way_out, told_with)"
    " VALUES (%s, 'overdue', 'error', 'calltouch', %s, '{}', 'late', %s, 'x')"
)


@pytest.fixture(scope="module")
def sandbox() -> Iterator[Sandbox]:
    with running_sandbox(clock=datetime.now(UTC)) as running:
        yield running


def settings(sandbox: Sandbox, **given: str) -> dict[str, str]:
    sites = f"{SITE},{OTHER_SITE}"
    return {
        **sandbox.settings_env(),
        "CALLTOUCH_SITE_IDS": sites,
        "TRUST_COMPANY_IDS": "11,12",
    } | given


@pytest.fixture(scope="module")
def loaded(
    server: PostgresServer, sandbox: Sandbox, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[tuple[Warehouse, list[date]]]:
    """Two days of every source and two accounts, loaded once; each test gets a copy."""
    origin = server.fresh()
    server.add_dagster(origin)
    home = tmp_path_factory.mktemp("loaded")
    days = days_back(3, 2)
    with (
        pytest.MonkeyPatch.context() as patch,
        operating(origin, home, patch, settings(sandbox)) as house,
    ):
        for source in SOURCES:
            assert house.refresh(days, source), house.failure()
    server.seal(origin)
    yield origin, days
    server.drop(origin)


@pytest.fixture
def house(
    server: PostgresServer,
    loaded: tuple[Warehouse, list[date]],
    sandbox: Sandbox,
    scratch: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> Iterator[House]:
    warehouse = server.loaded(loaded[0])
    with operating(warehouse, scratch, monkeypatch, settings(sandbox)) as running:
        yield running
    server.drop(warehouse)


def run(*arguments: str) -> str:
    done = CliRunner().invoke(command, arguments, catch_exceptions=False, standalone_mode=False)
    assert done.return_value == 0, done.output
    return done.stdout


def data_of(source: str, label: str) -> AccountData:
    feed = feed_of(source)
    account = Account(source, label, feed.time_zone(services.settings()))
    whole = feed.query_scope is QueryScope.HISTORY
    return AccountData(account, feed.vendor, feed.table, lock_whole=whole)


def unset(monkeypatch: pytest.MonkeyPatch) -> None:
    again(monkeypatch, CALLTOUCH_SITE_IDS=OTHER_SITE)


def seed(house: House, label: str = SITE) -> None:
    with house.warehouse.connect_admin() as connection:
        for statement in SEEDS:
            connection.execute(statement.format(a=label).encode())
        alone = [f"warehouse backfill --source calltouch --account {label} --from x --to y"]
        both = [
            *alone,
            f"warehouse backfill --source calltouch --account {OTHER_SITE} --from x --to y",
        ]
        connection.execute(ALARM, (f"overdue/calltouch/{label}", [label], alone))
        connection.execute(ALARM, ("run/1", [label, OTHER_SITE], both))
        connection.execute(
            "INSERT INTO ops.alarm_day (alarm_id, account, day)"
            " SELECT alarm_id, account, '2024-01-01' FROM ops.alarm, unnest(accounts) AS account"
        )


def naming_tables(house: House) -> dict[str, str]:
    """Every table with a column that names accounts, and the condition that a row is of ``SITE``."""
    with house.warehouse.connect_admin() as connection:
        found = connection.execute(NAMING, (list(ACCOUNT_COLUMNS),)).fetchall()
    conditions = {"accounts": f"'{SITE}' = ANY (accounts)"}
    return {
        f"{schema}.{table}": conditions.get(columns[0], f"{columns[0]}::text = '{SITE}'")
        for schema, table, columns in found
    }


def knowing(house: House) -> set[str]:
    """The tables that know the account."""
    found = naming_tables(house)
    return {
        table
        for table, condition in found.items()
        if house.rows(f"SELECT FROM {table} WHERE {condition} LIMIT 1")
    }


def fingerprints(house: House, label: str, source: str) -> dict[str, str]:
    """What stands of everybody else: each table of rows and of marts, each view of ``bi``, without the account."""
    tables = [
        row[0]
        for row in house.rows(
            "SELECT c.oid::regclass::text FROM pg_class c WHERE NOT c.relispartition AND c.relkind IN"
            " ('r', 'p', 'v') AND c.relnamespace::regnamespace::text = ANY (%s) ORDER BY 1",
            ["warehouse", "mart", "bi", "ops", "bi_detail"],
        )
    ]
    # mart.stale: its queue is worked off.
    moving = {
        "mart.stale",
        "ops.manual_act",
        "ops.privacy",
        "ops.alarm",
        "ops.request_slot",
        "ops.bi_grant",
    }
    own = {"site_id", "company_id"} if source in ("calltouch", "trust") else set()
    return {
        table: hashlib.sha256(repr(others(house, table, label, source, own)).encode()).hexdigest()
        for table in tables
        if table not in moving
    }


def others(house: House, table: str, label: str, source: str, own: set[str]) -> list[Any]:
    """The rows of a table that are of another account, or of another source."""
    vendor = feed_of(source).vendor
    with house.warehouse.connect_admin() as connection:
        cursor = connection.execute(
            sql.SQL("SELECT t::text, to_jsonb(t) FROM {} t ORDER BY 1").format(
                sql.Identifier(*table.split("."))
            )
        )
        rows = cursor.fetchall()
    kept = []
    for text, row in rows:
        if "sms_frequency" in table and not row["site_id"]:
            continue  # of all sites: other figures without the account (``counted_over_all_sites``)
        names = {str(row[column]) for column in own & row.keys()}
        if "account" in row and row.get("source", source) == source:
            names |= {str(row["account"])} if row.get("vendor", vendor) == vendor else set()
        if label not in names and not (own & row.keys() and label in names):
            kept.append(text)
    return kept


def counted_over_all_sites(house: House) -> tuple[list[Any], list[Any]]:
    """People by frequency as ``bi`` shows them over all sites, and as the rows that stand tell it."""
    shown = house.rows(
        "SELECT period_start, frequency, recipients, messages FROM bi.sms_frequency"
        " WHERE site_id IS NULL AND period = 'month' AND dimension = 'all' ORDER BY 1, 2"
    )
    stands = house.rows(
        "SELECT month, least(sms, 5), count(*), sum(sms) FROM ("
        " SELECT date_trunc('month', sent_on)::date AS month, count(*) AS sms FROM warehouse.calltouch_sms"
        " WHERE recipient IS NOT NULL GROUP BY 1, recipient) AS people GROUP BY 1, 2 ORDER BY 1, 2"
    )
    return shown, stands


def test_every_table_that_names_accounts_is_emptied_of_it_and_nothing_else_changes(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    seed(house)
    others_tables = {"warehouse.tellody_activity", "warehouse.tellody_credit_purchase"}
    others_tables |= {"warehouse.trust_campaign_statistics"}
    expected = set(naming_tables(house)) - others_tables
    assert knowing(house) == expected, "a new table: a row of it belongs into SEEDS"
    [(before,)] = house.rows("SELECT count(*) FROM raw.response")
    assert before
    stood = fingerprints(house, SITE, "calltouch")
    unset(monkeypatch)

    house.rows("UPDATE ops.pii_key SET next_fingerprint = NULL RETURNING 1")
    told = run("remove-account", "calltouch", SITE, "--dry-run")
    assert "Nothing was changed." in told
    assert knowing(house) == expected
    removed = run("remove-account", "calltouch", SITE)
    assert _counts(told) == _counts(removed), "as many as the dry run said"
    assert knowing(house) == {"ops.bi_grant"}, "of a role that would see every account without"
    assert fingerprints(house, SITE, "calltouch") == stood
    shown, stands = counted_over_all_sites(house)
    assert shown == stands, "at once, not with the next load"
    assert shown
    left = house.rows("SELECT role::text, vendor, account FROM ops.bi_grant ORDER BY 1, 2")
    assert left == [("warehouse_bi_detail", "calltouch", SITE), ("warehouse_bi_pii", "trust", None)]
    [(accounts, hints)] = house.rows(
        "SELECT accounts, way_out FROM ops.alarm WHERE subject = 'run/1'"
    )
    assert accounts == [OTHER_SITE]
    assert [OTHER_SITE in hint for hint in hints] == [True]
    [(orphans,)] = house.rows(
        "SELECT count(*) FROM raw.response r WHERE NOT EXISTS (SELECT FROM ops.extraction e"
        " WHERE e.extraction_id = r.extraction_id)"
    )
    assert orphans == 0


def _counts(told: str) -> list[list[str]]:
    return [line.split() for line in told.splitlines() if line.startswith("  ")]


@pytest.mark.parametrize(
    ("source", "label", "given"),
    [
        ("trust", "12", {"TRUST_COMPANY_IDS": "11"}),
        ("tellody_activity", "main", {"TELLODY_ACCOUNT": "second"}),
        ("tellody_purchases", "main", {"TELLODY_ACCOUNT": "second"}),
    ],
)
def test_of_each_source_the_account_goes_and_the_others_stay_to_the_cent(
    house: House, monkeypatch: pytest.MonkeyPatch, source: str, label: str, given: dict[str, str]
) -> None:
    stood = fingerprints(house, label, source)
    table, column = feed_of(source).table.name, feed_of(source).table.account_column
    [(rows,)] = house.rows(
        f"SELECT count(*) FROM warehouse.{table} WHERE {column}::text = '{label}'"
    )
    again(monkeypatch, **given)
    told = run("remove-account", source, label)
    assert [f"warehouse.{table}", f"{rows:,}"] in _counts(told)
    found = fingerprints(house, label, source)
    changed = {name for name in stood if stood[name] != found[name]}
    # Of one vendor two sources share the account: bi shows what is left of the other one.
    assert (
        changed <= {"bi.messaging_day", "mart.messaging_day"}
        if source == "tellody_activity"
        else not changed
    )
    for view in ("bi.data_until", "bi.data_status"):
        assert (
            house.rows(f"SELECT FROM {view} WHERE source = '{source}' AND account = '{label}'")
            == []
        )
    if source.startswith("tellody"):
        assert house.rows("SELECT count(*) FROM bi.account WHERE account = 'main'") == [(1,)]


def test_no_status_metric_or_page_shows_it_and_who_did_it_is_noted(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    unset(monkeypatch)
    run("remove-account", "calltouch", SITE)
    shown = [
        CliRunner().invoke(command, [verb], standalone_mode=False).stdout
        for verb in ("status", "metrics", "held", "rejects")
    ]
    from dagster_project.monitoring.status import health

    with house.warehouse.connect(autocommit=True) as connection:
        shown.append(page(health(services.settings(), house.warehouse, connection)))
    assert all(shown[:2])
    assert not any(SITE in text for text in shown)
    acts = house.rows(
        "SELECT about, os_user <> '', host <> '' FROM ops.manual_act WHERE verb = 'remove-account'"
    )
    assert acts == [(f"calltouch {SITE}", True, True)]


def test_loaded_again_it_is_counted_as_before(
    house: House, monkeypatch: pytest.MonkeyPatch, loaded: tuple[Warehouse, list[date]]
) -> None:
    figures = "SELECT * FROM {} WHERE site_id = " + SITE + " ORDER BY 1, 2, 3, 4, 5"
    marts = ("mart.sms_day", "mart.sms_hour", "mart.sms_reach")
    stood = [house.rows(figures.format(mart)) for mart in marts]
    assert all(stood)
    unset(monkeypatch)
    run("remove-account", "calltouch", SITE)
    again(monkeypatch, CALLTOUCH_SITE_IDS=f"{SITE},{OTHER_SITE}")
    assert house.refresh(loaded[1]), house.failure()
    assert [house.rows(figures.format(mart)) for mart in marts] == stood


def test_it_is_refused_while_the_account_is_configured_and_says_by_which_setting(
    house: House,
) -> None:
    for source, label, setting in (
        ("calltouch", SITE, "CALLTOUCH_SITE_IDS"),
        ("trust", "12", "TRUST_COMPANY_IDS"),
        ("tellody_activity", "main", "TELLODY_ACCOUNT"),
    ):
        with pytest.raises(SettingsError, match=rf"{label}: it is configured \({setting}\)"):
            run("remove-account", source, label, "--dry-run")
        with pytest.raises(SettingsError, match=f"take it out of {setting}"):
            run("remove-account", source, label)
    with pytest.raises(
        SettingsError, match=rf"nothing is known .* were loaded: {OTHER_SITE}, {SITE}"
    ):
        run("remove-account", "calltouch", "777")
    with pytest.raises(SettingsError, match="whole numbers"):
        run("remove-account", "trust", "no-number")
    assert house.rows("SELECT count(*) FROM ops.manual_act WHERE verb = 'remove-account'") == [(0,)]


def test_a_removal_that_fails_at_any_step_is_finished_by_the_same_command(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    seed(house)
    unset(monkeypatch)
    stood = fingerprints(house, SITE, "calltouch")
    with house.warehouse.connect_admin() as admin:
        admin.execute(
            "CREATE FUNCTION public.stop() RETURNS trigger LANGUAGE plpgsql AS"
            " $$ BEGIN PERFORM pg_terminate_backend(pg_backend_pid()); RETURN OLD; END $$"
        )
        for table in (
            "mart.sms_day",
            "ops.day_state",
            "raw.response",
            "ops.wanted_range",
            "ops.alarm",
        ):
            name = sql.Identifier(*table.split("."))
            admin.execute(
                sql.SQL(
                    "CREATE TRIGGER stop BEFORE DELETE ON {} FOR EACH ROW EXECUTE FUNCTION public.stop()"
                ).format(name)
            )
            done = CliRunner().invoke(command, ["remove-account", "calltouch", SITE])
            assert done.exception is not None, table
            assert "ops.account_start" in knowing(house), "the ledger knows it to the end"
            admin.execute(sql.SQL("DROP TRIGGER stop ON {}").format(name))
    run("remove-account", "calltouch", SITE)
    assert knowing(house) == {"ops.bi_grant"}
    assert fingerprints(house, SITE, "calltouch") == stood
    shown, stands = counted_over_all_sites(house)
    assert shown == stands
    assert shown


def test_it_waits_for_a_load_that_is_under_way(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    unset(monkeypatch)
    said: list[str] = []
    with house.warehouse.connect(autocommit=True) as load:
        [epoch] = load.execute("SELECT epoch FROM ops.privacy").fetchone() or ()
        load.execute("SELECT pg_advisory_lock_shared(%s, %s)", (suppression.EPOCH_CLASS, epoch))
        removal = threading.Thread(
            target=account_removal.remove_account,
            args=(house.warehouse, data_of("calltouch", SITE), sms_mask(), said.append),
        )
        removal.start()
        wait_until(lambda: bool(said))
        assert said == ["waiting for 1 other session that began before …"]
        assert house.rows(f"SELECT FROM bi.sms_day WHERE site_id = {SITE} LIMIT 1")
    removal.join()
    assert "ops.day_state" not in knowing(house)


def test_an_account_that_is_loaded_meanwhile_is_said_to_be_there_again(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    unset(monkeypatch)

    def load(line: str) -> None:
        if line == "what is left in the ledger …":
            house.rows("INSERT INTO warehouse.calltouch_sms SELECT * FROM one_row RETURNING 1")

    with house.warehouse.connect_admin() as admin:
        admin.execute(
            sql.SQL(
                "CREATE TABLE one_row AS SELECT * FROM warehouse.calltouch_sms WHERE site_id = {} LIMIT 1"
            ).format(SITE)
        )
    data = data_of("calltouch", SITE)
    with pytest.raises(TryLater, match=r"loaded again.*Way out: some host has it"):
        account_removal.remove_account(house.warehouse, data, sms_mask(), load)
    account_removal.remove_account(house.warehouse, data, sms_mask())
    assert house.rows("SELECT FROM warehouse.calltouch_sms WHERE site_id = %s", SITE) == []


def test_not_while_pseudonyms_are_recomputed(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    unset(monkeypatch)
    house.rows("UPDATE ops.pii_key SET next_fingerprint = 'another' RETURNING 1")
    with pytest.raises(SettingsError, match="recomputed with a new key"):
        run("remove-account", "calltouch", SITE)
    with pytest.raises(psycopg.errors.InsufficientPrivilege), house.warehouse.connect() as loader:
        loader.execute("DELETE FROM ops.account_start")
