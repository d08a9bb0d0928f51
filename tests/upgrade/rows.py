"""Rows of every kind that the ledger and the tables hold, and a census that finds out what a migration loses.

Grain of a census: a table, with its count of rows and a checksum of its columns.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from psycopg import sql

from dagster_project.warehouse.connection import Warehouse

# What migrations write about themselves, and what every copy of a database writes anew.
NOT_DATA = ("ops.migration", "ops.schema_version", "ops.suppression_applied")
COLUMNS = """
SELECT c.relnamespace::regnamespace || '.' || c.relname, array_agg(a.attname::text ORDER BY a.attnum)
FROM pg_class c JOIN pg_attribute a ON a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped
WHERE c.relkind IN ('r', 'p') AND NOT c.relispartition
    AND c.relnamespace::regnamespace::text IN ('raw', 'warehouse', 'ops', 'mart')
GROUP BY c.oid ORDER BY 1
"""
Census = Mapping[str, list[Any]]
FILL = """
SELECT ops.ensure_month(parent::regclass, month::date) FROM
    unnest(ARRAY['warehouse.calltouch_sms', 'warehouse.tellody_activity',
                 'warehouse.tellody_credit_purchase', 'warehouse.trust_campaign_statistics']) parent,
    unnest(ARRAY['2024-03-01', '2024-04-01']) month;
INSERT INTO warehouse.calltouch_sms (sent_on, site_id, sms_key, occurrence, sent_at, phone,
    phone_e164, country, recipient, status, status_detail, outcome, is_final, message, template_id,
    segments, content_hash, first_loaded_at, changed_at)
SELECT '2024-03-20'::date + n % 20, 101 + n % 3, md5('key ' || n)::uuid, 1,
    '2024-03-20 09:00+03'::timestamptz + n % 20 * interval '1 day', '7920' || 1000000 + n % 700,
    '+7920' || 1000000 + n % 700, 'RU', md5('person ' || n % 700)::uuid,
    'delivered', 'Доставлено', 'delivered', true, E'Скидка\\n' || n % 9, md5('text ' || n % 9)::uuid,
    1, n, '2024-04-10', '2024-04-10'
FROM generate_series(1, 3000) n;
INSERT INTO warehouse.tellody_activity (activity_on, account, sms_sent, email_sent, downloads, optouts,
    url_clicks, vouchers_viewed, extra, content_hash, first_loaded_at, changed_at)
SELECT '2024-03-20'::date + n, 'main', n, 0, 0, 0, 0, 0, '{"more": "\\u0000"}', n, now(), now()
FROM generate_series(0, 19) n;
INSERT INTO warehouse.tellody_credit_purchase (purchased_on, account, payment_id, purchased_at,
    time_zone, amount, credits, content_hash, first_loaded_at, changed_at)
SELECT '2024-03-20'::date + n, 'main', n, '2024-03-20 10:00+02'::timestamptz + n * interval '1 day',
    'Europe/Athens', 10.10 + n, 1000, n, now(), now()
FROM generate_series(0, 9) n;
INSERT INTO warehouse.trust_campaign_statistics (stats_on, company_id, window_from, window_to, is_daily,
    asked_at, total, sent, pending, failed, received, pressed, closed, unknown, campaigns,
    content_hash, first_loaded_at, changed_at)
SELECT '2024-03-20'::date + n, 7, '2024-03-20'::date + n, '2024-03-20'::date + n, true, now(),
    100, 90, 0, 0, 0, 0, 0, 0, 1, n, now(), now()
FROM generate_series(0, 9) n;
INSERT INTO ops.extraction (source, account, first_day, last_day, requests, points, pages, vendor_total,
    finished_at, outcome, code_version)
SELECT 'calltouch', (101 + n % 3)::text, '2024-03-20'::date + n, '2024-03-20'::date + n, 1, 2, 1, 50,
    now(), 'complete', '0.0.1'
FROM generate_series(0, 59) n;
INSERT INTO raw.response (extraction_id, attempt, sequence, request, asked_at, received_at, status,
    content_type, body_bytes, body_sha256, body)
SELECT extraction_id, 1, 1, '{}', now(), now(), 200, 'application/json', 2, sha256('{}'), '{}'
FROM ops.extraction;
INSERT INTO ops.load_receipt (extraction_id, source, account, day, is_replay, rows_received,
    rows_inserted, rows_updated, rows_deleted, rows_unchanged, rows_rejected, checksum, observed_at,
    code_version)
SELECT extraction_id, source, account, first_day, false, 50, 50, 0, 0, 0, 0, 'c' || extraction_id,
    started_at, code_version
FROM ops.extraction;
INSERT INTO ops.day_state (source, account, day, receipt_id, extraction_id, observed_at, loaded_at,
    rows, checksum)
SELECT source, account, day, receipt_id, extraction_id, observed_at, now(), rows_received, checksum
FROM ops.load_receipt;
INSERT INTO ops.rejected_record (source, account, record_sha256, reason, day, original,
    first_extraction_id, last_extraction_id)
SELECT 'tellody_purchases', 'main', sha256('r'), 'no date', NULL, '{"paymentId": 1}',
    min(extraction_id), max(extraction_id)
FROM ops.extraction;
INSERT INTO ops.point_ledger (source, account, spent_on, points) VALUES ('calltouch', '101', '2024-04-10', 120);
"""


def fill(warehouse: Warehouse) -> None:
    """Write them, as the administrator."""
    with warehouse.connect_admin() as connection:
        connection.execute(FILL.encode())


def columns_of(warehouse: Warehouse) -> dict[str, list[str]]:
    """The columns of every table that holds data."""
    with warehouse.connect_admin() as connection:
        rows = connection.execute(COLUMNS.encode()).fetchall()
    return {str(table): list(columns) for table, columns in rows if table not in NOT_DATA}


def census(warehouse: Warehouse, columns: Mapping[str, list[str]] | None = None) -> Census:
    """For each table how many rows, and a checksum of these columns; of all that it has, unless given."""
    found = {}
    with warehouse.connect_admin() as connection:
        for table, names in (columns or columns_of(warehouse)).items():
            query = sql.SQL(
                "SELECT count(*), coalesce(md5(string_agg(one::text, E'\\n' ORDER BY one::text)), '')"
                " FROM (SELECT {} FROM {}) AS one"
            ).format(
                sql.SQL(", ").join(map(sql.Identifier, names)), sql.Identifier(*table.split("."))
            )
            row = connection.execute(query).fetchone()
            assert row is not None
            found[table] = list(row)
    return found
