"""The transaction of a window: begin it, fill it from stored responses, commit it, hold days back.

A day whose new rows are suspicious is held: the transaction is rolled back, the hold is noted, and the
other days are loaded once more, from the responses that were just stored.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from datetime import date
from functools import partial

from dagster_project.errors import AnswerNotTrusted, HeldBack, WarehouseError
from dagster_project.model.check_outcome import HELD, READABLE, CheckOutcome
from dagster_project.model.feed import Feed, QueryScope
from dagster_project.model.privacy import Rules
from dagster_project.model.receipt import Extraction, Receipt
from dagster_project.model.response import ExtractStats
from dagster_project.model.window import ONE_DAY, Account, Window
from dagster_project.pipeline.day_checks import outcomes_of_loads
from dagster_project.pipeline.encoding import encoding_of
from dagster_project.pipeline.feed_run import FeedRun
from dagster_project.pipeline.lending import ConnectionPair
from dagster_project.pipeline.outcomes import WindowResult, nothing_stored_error
from dagster_project.pipeline.privacy_rules import encode_rows, redact_response
from dagster_project.pipeline.settlement import is_settled
from dagster_project.text.wording import shorten
from dagster_project.warehouse.connection import Connection
from dagster_project.warehouse.ledger import check_outcomes, extractions, load_receipts, responses
from dagster_project.warehouse.ledger.held_days import hold_day
from dagster_project.warehouse.load.day_counts import rejected_figures
from dagster_project.warehouse.load.day_figures import (
    Figure,
    compare_figures,
    describe_changes,
    figures_of,
)
from dagster_project.warehouse.load.holds import Held, HeldDays
from dagster_project.warehouse.load.window_load import WindowLoad

MAX_DAYS_DESCRIBED = 3
"""Held days of which an error says what they would change; ``warehouse held`` tells of all."""


def prepare_load(
    run: FeedRun,
    connection: Connection,
    window: Window,
    extraction: Extraction,
    rules: Rules,
    *,
    wanted: Collection[date] | None = None,
    skip: Collection[date] = (),
    held: Collection[date] = (),
    is_replay: bool = False,
) -> WindowLoad:
    """The load of a window, before it has locked or read anything; see ``WindowLoad`` for what the days are."""
    is_history = run.feed.query_scope is QueryScope.HISTORY
    return WindowLoad(
        connection,
        run.feed.table,
        window,
        extraction,
        ensure_month=run.months.ensure,
        skip=skip,
        held=held,
        wanted_days=wanted if is_history else None,
        is_replay=is_replay,
        guard=run.shrink_guard,
        reject_guard=run.reject_guard,
        lock_whole=is_history,
        encoding=encoding_of(run.feed, window, rules, run.pii_key),
        is_settled=partial(
            _is_settled, run.feed, window.account, run.feed.settle_days(run.settings)
        ),
    )


def load_stored(
    run: FeedRun,
    pair: ConnectionPair,
    window: Window,
    extraction: Extraction,
    rules: Rules,
    wanted: Collection[date],
    *,
    held: Collection[date] = (),
    is_replay: bool = True,
) -> WindowLoad:
    """A load from stored responses of the wanted days of a window, up to its ``finish``."""
    is_history = run.feed.query_scope is QueryScope.HISTORY
    load = prepare_load(
        run,
        pair.load,
        window,
        extraction,
        rules,
        wanted=wanted,
        skip=() if is_history else set(window.days) - set(wanted),
        held=held,
        is_replay=is_replay,
    ).begin()
    try:
        _refuse_reduced(run.feed, pair.ledger, extraction, window, wanted)
        add_stored(run, pair.ledger, load, rules)
    except BaseException:
        load.abandon()
        raise
    return load


def add_stored(
    run: FeedRun,
    ledger: Connection,
    load: WindowLoad,
    rules: Rules,
    sequences: Collection[int] | None = None,
) -> None:
    """Add the rows of the extraction's stored responses: of these, or of all."""
    for response in responses.read_responses(ledger, load.extraction.extraction_id, sequences):
        redacted = redact_response(run.feed, response, rules)
        with run.encoders.lend() as encoder:
            load.add(encode_rows(run.feed, encoder, redacted, load.window, rules))


def commit_load(
    run: FeedRun, load: WindowLoad, pair: ConnectionPair, rules: Rules, stats: ExtractStats
) -> WindowResult:
    """Finish the load and commit; days that are to be held back are, the others are loaded."""
    account = load.window.account
    problems: list[WarehouseError] = []
    while True:
        try:
            receipts = load.finish(partial(write_after_rows, run, account), run.run_id)
            break
        except HeldDays as days:
            pair.load.rollback()
            problems += _hold_days(pair.ledger, load, days.held)
            load = load_stored(
                run,
                pair,
                load.window,
                load.extraction,
                rules,
                load.wanted_days if load.wanted_days is not None else load.window.days,
                held={*load.held, *days.held},
                is_replay=load.is_replay,
            )
    if load.superseded:
        # A later observation stands already: for these days there was nothing left to do.
        receipts += load_receipts.read_receipts(
            pair.load,
            account.source,
            account.label,
            [day for day in load.superseded if day in (load.wanted_days or load.window.days)],
        )
    pair.load.commit()
    run.note_grown_days(r.day for r in receipts if r.rows_inserted and not r.already_there)
    return WindowResult(receipts, problems, stats)


def write_after_rows(
    run: FeedRun, account: Account, connection: Connection, receipts: list[Receipt]
) -> None:
    """In the transaction of these loads, after their receipts: the marts, and what the checks say."""
    run.after_rows(connection, account, receipts)
    check_outcomes.write_outcomes(connection, outcomes_of_loads(connection, receipts))


@contextmanager
def note_unreadable(
    connection: Connection, account: Account, days: Collection[date]
) -> Iterator[None]:
    """Note of these days that their newer answer could not be read, where what is done inside says so."""
    try:
        yield
    except HeldBack:
        raise
    except AnswerNotTrusted as error:
        outcome = CheckOutcome(READABLE, False, "error", error.what)
        with suppress(Exception):
            check_outcomes.write_refused(connection, account.source, account.label, days, outcome)
        raise


def _is_settled(feed: Feed, account: Account, settle_days: int, receipt: Receipt) -> bool:
    """A day of which too little could be read is asked again, and so is one whose only response was not."""
    nothing = feed.query_scope is QueryScope.DAY and receipt.rows_rejected and not receipt.rows
    if receipt.doubt or nothing:
        return False
    return feed.settles_at_once(receipt) or is_settled(
        receipt.day,
        account.time_zone,
        receipt.observed_at,
        rows=receipt.rows,
        rows_final=receipt.rows_final,
        settle_days=settle_days,
    )


def _refuse_reduced(
    feed: Feed,
    connection: Connection,
    extraction: Extraction,
    window: Window,
    wanted: Collection[date],
) -> None:
    """A reduction may have come between choosing the responses and locking their days."""
    if feed.reduction is None or not wanted:
        return
    before = extractions.reduced_before(connection, extraction)
    if before is not None and min(wanted) < before:
        raise nothing_stored_error(feed.source, window.account, min(wanted))


def _hold_days(
    connection: Connection, load: WindowLoad, held: Mapping[date, Held]
) -> list[HeldBack]:
    """Note that the new answers for these days are held back; what to raise for them."""
    source, account = load.extraction.source, load.extraction.account
    days = sorted(held)
    existing = figures_of(connection, load.table, load.window, days)
    for receipt in load_receipts.read_receipts(connection, source, account, days):
        existing[receipt.day] |= rejected_figures(receipt.rejected_reasons)
    changes = {day: compare_figures(existing[day], held[day].figures) for day in days}
    for day in days:
        one = held[day]
        hold_day(connection, load.extraction, day, one.why, one.kinds, changes[day])
        outcome = CheckOutcome(HELD, False, "error", f"a newer answer is held: it {one.why}")
        check_outcomes.write_refused(connection, source, account, [day], outcome)
    spans = [days] if load.lock_whole else _spans_of_kinds(held)
    return [_held_back_error(load, span, held, changes) for span in spans]


def _spans_of_kinds(held: Mapping[date, Held]) -> list[list[date]]:
    """Runs of neighbouring days that the same options take: a command serves each."""
    spans: list[list[date]] = []
    for day in sorted(held):
        last = spans[-1][-1] if spans else None
        if last is not None and day - last == ONE_DAY and held[last].kinds == held[day].kinds:
            spans[-1].append(day)
        else:
            spans.append([day])
    return spans


def _held_back_error(
    load: WindowLoad,
    days: list[date],
    held: Mapping[date, Held],
    changes: Mapping[date, Mapping[str, Sequence[Figure]]],
) -> HeldBack:
    """One error for days that one command takes; the first few of many are described."""
    described = [
        f"{f'{day}: ' if len(days) > 1 else ''}it {held[day].why} ({describe_changes(changes[day])})"
        for day in days
    ]
    kinds = dict.fromkeys(kind for day in days for kind in held[day].kinds)
    return HeldBack.for_kinds(
        days,
        "; ".join(shorten(described, MAX_DAYS_DESCRIBED, "days")),
        list(kinds),
        source=load.extraction.source,
        account=load.extraction.account,
    )
