"""A run that loads the same window again and again from a vendor of some pages, and what it encoded."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from typing import Any

from dagster_project.model.batch import Batch, RowEncoder
from dagster_project.model.receipt import Receipt
from dagster_project.model.response import ExtractStats, Response
from dagster_project.model.window import Account, Window
from dagster_project.pipeline.feed_run import FeedRun
from dagster_project.pipeline.load_window import load_window
from dagster_project.warehouse.connection import Connection
from tests.support.loading import CALLTOUCH, Loading
from tests.vendors.calltouch.played import NOW, WINDOW, Played, calltouch

ROWS = 35
PAGES = 4
LEDGER = {
    "receipt": "SELECT to_jsonb(r) - '{receipt_id,extraction_id,observed_at,loaded_at,encoding}'::text[]"
    " FROM ops.load_receipt r WHERE extraction_id = (SELECT max(extraction_id) FROM ops.extraction)",
    "state": "SELECT to_jsonb(s) - '{receipt_id,extraction_id,observed_at,loaded_at}'::text[]"
    " FROM ops.day_state s",
    "extraction": "SELECT to_jsonb(e) - '{extraction_id,started_at,finished_at}'::text[]"
    " FROM ops.extraction e ORDER BY extraction_id DESC LIMIT 1",
    "responses": "SELECT to_jsonb(r) - '{extraction_id,asked_at,received_at}'::text[]"
    " FROM raw.response r WHERE extraction_id = (SELECT max(extraction_id) FROM ops.extraction)"
    " ORDER BY sequence",
    "checks": "SELECT to_jsonb(c) - '{receipt_id,evaluated_at}'::text[] FROM ops.check_outcome c"
    " ORDER BY check_name",
    "rows": "SELECT to_jsonb(t) FROM warehouse.calltouch_sms t ORDER BY sms_key, occurrence",
    "rejects": "SELECT to_jsonb(r) - '{last_seen_at,last_extraction_id}'::text[]"
    " FROM ops.rejected_record r",
}


def page(sequence: int, *rows: int) -> Response:
    """A page of these rows, a byte each."""
    return Response(sequence, {}, NOW, NOW, 200, "application/json", bytes(rows))


@dataclass
class House:
    """A vendor of some pages, a run that loads it, and what the run encoded and told of its receipts."""

    loading: Loading
    vendor: Played
    run: FeedRun
    encoded: list[int] = field(default_factory=list)
    told: list[list[Receipt]] = field(default_factory=list)

    def load(self) -> Receipt:
        self.encoded.clear()
        [receipt] = load_window(self.run, WINDOW, None, ExtractStats()).receipts
        assert self.rows() == self.truth()
        return receipt

    def rows(self) -> Counter[tuple[str, str, str]]:
        query = "SELECT phone, status, message FROM warehouse.calltouch_sms WHERE site_id = 101"
        return Counter(self.loading.select(query))

    def truth(self) -> Counter[tuple[str, str, str]]:
        return Counter(
            (row["phoneNumber"], row["smsStatus"], row["smsMessage"]) for row in self.vendor.rows
        )

    def change(self, statement: str) -> None:
        with self.loading.warehouse.connect_admin() as connection:
            assert connection.execute(statement.encode()).rowcount

    def forget_encodings(self) -> None:
        """From now on nothing is known of how rows were encoded: they are encoded again."""
        self.change("UPDATE ops.load_receipt SET encoding = NULL")


@contextmanager
def house_of(loading: Loading, rows: list[dict[str, Any]]) -> Iterator[House]:
    encoded: list[int] = []
    told: list[list[Receipt]] = []

    def row_encoder(secret: str) -> RowEncoder:
        encode = CALLTOUCH.row_encoder(secret)

        def noted(response: Response, window: Window) -> Batch:
            encoded.append(response.sequence)
            return encode(response, window)

        return noted

    def after_rows(connection: Connection, account: Account, receipts: list[Receipt]) -> None:
        told.append(receipts)

    with calltouch(Played(rows)) as (vendor, client):
        feed = replace(
            CALLTOUCH, open_client=lambda section, store: client, row_encoder=row_encoder
        )
        with loading.run(feed, after_rows=after_rows) as run:
            yield House(loading, vendor, run, encoded, told)
