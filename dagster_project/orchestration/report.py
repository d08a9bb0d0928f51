"""How a load shows in Dagster: metadata of materializations, progress lines, failures.

Only counts, days, account labels and receipt numbers leave here: no phone, no text, no secret.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import partial
from typing import Any, Final

import dagster as dg

from dagster_project.errors import (
    HeldBack,
    TooLittleRead,
    VendorCannotAnswer,
    WarehouseError,
)
from dagster_project.model.feed import Feed
from dagster_project.model.receipt import Receipt
from dagster_project.monitoring import logs
from dagster_project.monitoring.causes import cause_lines
from dagster_project.pipeline.day_checks import rejected_reasons
from dagster_project.pipeline.outcomes import Cost, WindowDone
from dagster_project.text.markdown import markdown_table
from dagster_project.text.remedies import Verb, join_commands, load_command, show_rejects
from dagster_project.text.sanitize import NUL_REPLACED, SURROGATE_REPLACED
from dagster_project.text.wording import list_reasons, pluralize, span_text

_WORDS: Final = {
    NUL_REPLACED: "texts whose NUL characters are stored as ␀",
    SURROGATE_REPLACED: "texts whose halves of characters are stored as �",
}
_COUNTS = (
    ("rows received", "rows_received"),
    ("rows inserted", "rows_inserted"),
    ("rows updated", "rows_updated"),
    ("rows deleted", "rows_deleted"),
    ("rows unchanged", "rows_unchanged"),
    ("rows rejected", "rows_rejected"),
)


def summary(receipts: Sequence[Receipt], *, asked: bool) -> str:
    """One sentence: what the load did, and whether the vendor was asked."""
    total = _totals(receipts)
    changes = ", ".join(
        f"{total[name]:,} {name.removeprefix('rows ')}"
        for name in ("rows inserted", "rows updated", "rows deleted", "rows unchanged")
    )
    if asked:
        return f"loaded: {changes}"
    received = min(receipt.observed_at for receipt in receipts)
    return f"replayed, received at {received:%Y-%m-%d %H:%M} UTC: {changes}"


def rows_metadata(
    feed: Feed, receipts: Sequence[Receipt], cost: Cost, *, asked: bool
) -> dict[str, Any]:
    """Metadata of a day's rows in the order a person asks: how many, whose, when, at what cost.

    What a whole window cost is marked as such.
    """
    total = _totals(receipts)
    metadata: dict[str, Any] = {label: total[label] for label, _ in _COUNTS}
    metadata["dagster/row_count"] = sum(receipt.rows for receipt in receipts)
    reasons = rejected_reasons(receipts)
    if reasons:
        metadata["rejected because"] = f"{list_reasons(reasons)}; look at them: " + "; ".join(
            show_rejects(r.source, r.account, r.day, r.day) for r in receipts if r.rows_rejected
        )
    metadata["receipts"] = dg.MetadataValue.md(_table(receipts))
    metadata["settled"] = _settled(receipts)
    metadata["origin"] = "vendor" if asked else "replayed from stored responses"
    metadata["asked at"] = dg.MetadataValue.timestamp(min(r.observed_at for r in receipts))
    notices = _notices(receipts)
    if notices:
        lines = [f"- {name}: {count:,}" for name, count in notices.items()]
        metadata["noticed"] = dg.MetadataValue.md("\n".join(lines))
    metadata |= {name: str(value) for name, value in feed.metadata(receipts).items()}
    metadata |= _cost(cost)
    of_accounts = sorted(receipts, key=lambda receipt: receipt.account)
    metadata["checksum"] = ", ".join(f"{r.account}: {r.checksum}" for r in of_accounts)
    return metadata


def _settled(receipts: Sequence[Receipt]) -> str:
    """Whether nightly runs will ask for the day again."""
    again = sorted(receipt.account for receipt in receipts if not receipt.settled)
    return f"no: {', '.join(again)} will be asked again" if again else "yes: not asked again"


def raw_metadata(receipts: Sequence[Receipt], cost: Cost) -> dict[str, Any]:
    """Metadata of a day's stored responses."""
    return {
        "extractions": ", ".join(str(receipt.extraction_id) for receipt in receipts),
        "accounts": ", ".join(sorted(receipt.account for receipt in receipts)),
        "asked at": dg.MetadataValue.timestamp(min(r.observed_at for r in receipts)),
        **_cost(cost),
    }


def _cost(cost: Cost) -> dict[str, Any]:
    """What the windows cost that the day was asked in."""
    metadata: dict[str, Any] = {
        "pages": cost.pages,
        "requests": cost.requests,
        "points": cost.points,
        "seconds": round(cost.seconds, 3),
        "rows a second": round(cost.rows / cost.seconds) if cost.seconds else 0,
    }
    if cost.days > 1:
        metadata["cost covers"] = f"{cost.days} days loaded together"
    if cost.notes:
        metadata["noted while asking"] = dg.MetadataValue.json(
            {name: str(note) for name, note in cost.notes.items()}
        )
    return metadata


def _table(receipts: Sequence[Receipt]) -> str:
    names = [label.removeprefix("rows ") for label, _ in _COUNTS]
    return markdown_table(
        ["account", *names, "receipt", "extraction"],
        [
            (
                receipt.account,
                *(f"{getattr(receipt, name):,}" for _, name in _COUNTS),
                receipt.receipt_id,
                receipt.extraction_id,
            )
            for receipt in sorted(receipts, key=lambda receipt: receipt.account)
        ],
        left=1,
    )


def beside_table(figures: Mapping[str, Sequence[int | str]]) -> str:
    """Figures of a held day, standing beside held, as Markdown."""
    rows = [(name, standing, held) for name, (standing, held) in figures.items()]
    return markdown_table(["", "stands", "held"], rows, left=1)


def _totals(receipts: Sequence[Receipt]) -> dict[str, int]:
    return {label: sum(getattr(receipt, name) for receipt in receipts) for label, name in _COUNTS}


def _notices(receipts: Sequence[Receipt]) -> Counter[str]:
    """What was strange in the day, and in the whole window where it was not told by day."""
    notices: Counter[str] = Counter()
    for receipt in receipts:
        for name, count in receipt.notes.items():
            if isinstance(count, int):
                notices[_in_words(name)] += count
        for name, count in receipt.notes.get("in_window", {}).items():
            notices[f"{_in_words(name)} (in all days asked together)"] += count
    return notices


def _in_words(name: str) -> str:
    return _WORDS.get(name, name.replace("_", " "))


Tell = Callable[[Callable[[], None]], None]
Listener = Callable[[WindowDone], None]
_listeners: list[Listener] = []


@contextmanager
def listen(listener: Listener) -> Iterator[None]:
    """Hear of each chunk that ends in a run executed in this process."""
    _listeners.append(listener)
    try:
        yield
    finally:
        _listeners.remove(listener)


@contextmanager
def telling_causes(feed: Feed) -> Iterator[None]:
    """What ends a run before its first window is told like a window's failure: its text comes first.

    Raises:
        Failure: in place of an error of ours.
    """
    try:
        yield
    except WarehouseError as error:
        error.add_context(source=feed.source)
        for listener in _listeners:
            listener(WindowDone(problems=[error]))
        raise dg.Failure(
            description=str(error), metadata={"kind": type(error).__name__}, allow_retries=False
        ) from error


def progress(
    context: dg.AssetExecutionContext,
    feed: Feed,
    chunk: WindowDone,
    done: int,
    total: int,
    tell: Tell,
) -> None:
    """One line of the event log for each chunk, and one for each problem; ``tell`` has them written."""
    for listener in _listeners:
        listener(chunk)
    receipts = chunk.receipts
    if receipts:
        span = span_text([receipt.day for receipt in receipts])
        total_rows = _totals(receipts)
        accounts = ", ".join(sorted({receipt.account for receipt in receipts}))
        line = (
            f"{feed.source} {accounts} {span}: {total_rows['rows received']:,} received,"
            f" {summary(receipts, asked=True).removeprefix('loaded: ')};"
            f" {pluralize(chunk.stats.requests, 'request')},"
            f" {pluralize(chunk.stats.points, 'point')}, {chunk.seconds:.1f} s;"
            f" {done} of {pluralize(total, 'day')} done"
        )
        tell(partial(context.log.info, line))
    for account, of_account in _by_account(receipts).items():
        logs.log_loaded(
            context.run.run_id,
            feed.source,
            account,
            span_text([receipt.day for receipt in of_account]),
            **{label.replace(" ", "_"): count for label, count in _totals(of_account).items()},
        )
    for problem in [*chunk.problems, *chunk.doubts]:
        tell(partial(context.log.error, f"{type(problem).__name__}: {problem}"))
        logs.log_problem(context.run.run_id, feed.source, problem)


def _by_account(receipts: Sequence[Receipt]) -> dict[str, list[Receipt]]:
    found: dict[str, list[Receipt]] = {}
    for receipt in receipts:
        found.setdefault(receipt.account, []).append(receipt)
    return found


def failure(feed: Feed, problems: Sequence[WarehouseError], *, asked: bool) -> dg.Failure:
    """The failure of a run: which accounts and windows failed and how to go on; the rest is loaded."""
    lines = [f"- {line}" for line in cause_lines(problems)]
    accounts = sorted({problem.account for problem in problems if problem.account})
    failed = sum(not isinstance(problem, TooLittleRead) for problem in problems)
    told = [f"{pluralize(failed, 'window')} failed; all others are loaded"] if failed else []
    if failed < len(problems):
        told.append(
            f"too little could be read in {pluralize(len(problems) - failed, 'first load')}"
        )
    text = f"{feed.source}: {'; '.join(told)}.\n" + "\n".join(lines)
    commands = join_commands(c for p in problems for c in _commands_again(feed, p, asked=asked))
    again = ["re-execute this run, or", *commands[:20]] if commands else ["re-execute this run"]
    return dg.Failure(
        description=text,
        metadata={
            "failed accounts": ", ".join(accounts),
            "failed windows": dg.MetadataValue.md("\n".join(lines)),
            "once mended": "\n".join(again),
        },
        allow_retries=False,
    )


def _commands_again(feed: Feed, problem: WarehouseError, *, asked: bool) -> Iterator[str]:
    """The command that does the window again; none where no command mends it."""
    first, _, last = (problem.window or "").partition("..")
    if first and not isinstance(problem, VendorCannotAnswer):
        kinds = problem.kinds if isinstance(problem, HeldBack) else ()
        verb: Verb = "backfill" if asked else "replay"
        yield load_command(
            feed.source, problem.account, first, last or first, verb=verb, accept=kinds
        )
