"""One window, from the question to its receipts: what is stored, what is loaded, what a failure leaves."""

from __future__ import annotations

import gc
from collections.abc import Iterator
from dataclasses import replace

import pytest

from dagster_project.errors import AnswerNotTrusted
from dagster_project.model.batch import Batch
from dagster_project.model.response import ExtractStats, Response, Restart
from dagster_project.model.vendor_store import VendorStore
from dagster_project.model.window import Window
from dagster_project.pipeline.load_window import extract_window, load_window
from dagster_project.pipeline.outcomes import Stopped, TooManyRows
from dagster_project.transport.rate_limiter import RateLimiter
from dagster_project.vendors.calltouch.client import CalltouchClient
from dagster_project.vendors.calltouch.settings import CalltouchSettings
from dagster_project.vendors.calltouch.sms_page import SmsPage
from tests.support.loading import CALLTOUCH, LAST, Loading, until_last
from tests.vendors.calltouch.played import WINDOW, Played, Spoilt, calltouch, sms


def test_a_window_is_what_the_vendor_has_with_a_receipt_of_each_day(loading: Loading) -> None:
    days = until_last(3)
    with loading.run(run_id="a run") as run:
        result = load_window(run, loading.window(days[0], days[-1]), None, ExtractStats())
    assert [receipt.day for receipt in result.receipts] == days
    for day in days:
        assert loading.rows(day) == loading.truth(day)
    query = (
        "SELECT run_id, outcome, pages, vendor_total FROM ops.extraction e"
        " WHERE pages = (SELECT count(*) FROM raw.response r"
        "                WHERE r.extraction_id = e.extraction_id)"
    )
    total = sum(receipt.rows_received for receipt in result.receipts)
    assert loading.select(query) == [("a run", "complete", 1, total)]


def test_a_window_that_fails_leaves_its_old_rows_and_says_why_in_its_extraction(
    loading: Loading,
) -> None:
    with loading.run() as run:
        load_window(run, loading.window(LAST), None, ExtractStats())
    before = loading.rows(LAST)
    loading.vendors.world.calltouch.remove_rows(701, LAST, 5)
    loading.vendors.world.faults.add("wrong_page_number", times=None)
    feed = replace(CALLTOUCH, open_client=_impatient_client)
    with loading.run(feed) as run, pytest.raises(AnswerNotTrusted) as raised:
        load_window(run, loading.window(LAST), None, ExtractStats())
    assert (raised.value.source, raised.value.account) == ("calltouch", "701")
    assert raised.value.window == str(LAST)
    assert loading.rows(LAST) == before
    [_, failed] = loading.select(
        "SELECT outcome, failure_kind FROM ops.extraction ORDER BY extraction_id"
    )
    assert failed == ("failed", "AnswerNotTrusted")


def _impatient_client(section: CalltouchSettings, store: VendorStore) -> CalltouchClient:
    return CalltouchClient(section, RateLimiter(store.limits()), pause=lambda seconds: None)


def test_a_reading_that_contradicts_itself_is_stored_and_none_of_it_is_loaded(
    loading: Loading,
) -> None:
    """The second reading is the window: its pages bear another attempt's number."""
    moved = Spoilt(total=26, times=1)
    with calltouch(Played([sms(n) for n in range(25)], {2: moved})) as (_, client):
        feed = replace(CALLTOUCH, open_client=lambda section, store: client)
        with loading.run(feed) as run:
            [receipt] = load_window(run, WINDOW, None, ExtractStats()).receipts
    assert (receipt.rows_received, receipt.rows_inserted) == (25, 25)
    query = "SELECT attempt, array_agg(sequence ORDER BY sequence) FROM raw.response GROUP BY 1"
    assert dict(loading.select(query))[2] == [1, 2, 3]


def test_nothing_of_a_page_is_kept_while_the_next_one_is_waited_for(loading: Loading) -> None:
    alive: list[int] = []

    class Counting:
        """Counts the pages and batches that exist whenever a response has come."""

        def __init__(self, client: CalltouchClient) -> None:
            self.client = client

        def extract(self, window: Window, stats: ExtractStats) -> Iterator[Response | Restart]:
            for response in self.client.extract(window, stats):
                found = [each for each in gc.get_objects() if isinstance(each, SmsPage | Batch)]
                alive.append(len(found))
                del found
                yield response
                del response

        def close(self) -> None:
            pass

    gc.collect()
    with calltouch(45) as (_, client):
        feed = replace(CALLTOUCH, open_client=lambda section, store: Counting(client))
        with loading.run(feed) as run:
            load_window(run, WINDOW, None, ExtractStats())
    assert alive == [1] * 5, "the page that has come, and none before it"


def test_of_more_rows_than_a_transaction_should_hold_nothing_is_loaded(loading: Loading) -> None:
    days = until_last(10)
    with loading.run(replace(CALLTOUCH, window_rows=100)) as run:
        stats = ExtractStats()
        with pytest.raises(TooManyRows) as raised:
            load_window(run, loading.window(days[0], days[-1]), None, stats)
        assert raised.value.rows == stats.vendor_total
        assert stats.points == 2, "one call"
    assert [outcome for *_, outcome in loading.extractions()] == ["split"]
    assert loading.days() == []


def test_a_single_day_is_loaded_however_many_rows_it_has(loading: Loading) -> None:
    with loading.run(replace(CALLTOUCH, window_rows=1)) as run:
        load_window(run, loading.window(LAST), None, ExtractStats())
    assert loading.rows(LAST) == loading.truth(LAST)


def test_a_run_that_was_stopped_asks_for_nothing_and_says_so(loading: Loading) -> None:
    with loading.run() as run:
        run.stop()
        with pytest.raises(Stopped):
            load_window(run, loading.window(LAST), None, ExtractStats())
    assert [outcome for *_, outcome in loading.extractions()] == ["abandoned"]
    assert loading.calls() == 0


def test_responses_can_be_stored_alone(loading: Loading) -> None:
    with loading.run() as run:
        result = extract_window(run, loading.window(LAST))
    assert [(receipt.day, receipt.rows) for receipt in result.receipts] == [(LAST, 0)]
    assert loading.days() == []
    assert loading.select("SELECT count(*) FROM raw.response") == [(1,)]


def test_what_goes_wrong_while_responses_are_stored_is_in_the_result(loading: Loading) -> None:
    loading.vendors.world.faults.add("no_access", times=None)
    with loading.run() as run:
        result = extract_window(run, loading.window(LAST))
    [problem] = result.problems
    assert (problem.account, problem.window) == ("701", str(LAST))
    assert result.receipts == []
