"""Remedies: every command that a message offers is worded here."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from datetime import date, timedelta
from typing import Final, Literal

from dagster_project.text.day_runs import runs_of
from dagster_project.text.wording import span_text

SPANS_SHOWN: Final = 12

MIGRATE: Final = "run `warehouse migrate`."
MAKE_WAREHOUSE: Final = "`warehouse migrate` makes it, `warehouse backfill` fills it."
MAKE_AGAIN: Final = "drop it, run `warehouse migrate`, and make it again."
MIGRATE_AS_ADMINISTRATOR: Final = "run `warehouse migrate` as the administrator."
MAKE_LOGINS_AS_ADMINISTRATOR: Final = "name the administrator who ran `warehouse migrate` in WAREHOUSE_URL; nobody else needs `warehouse logins`."
CLOSE_GAPS: Final = (
    "run `warehouse migrate` once as a superuser; on a managed server the provider runs what"
    " `SELECT mend FROM ops.security_gap` lists."
)
AFTER_STOP: Final = (
    "End what should end: Ctrl-C where `make ui` runs.\n"
    "Any command starts Postgres again, such as `warehouse status`; the UI and its\n"
    "daemon then go on by themselves."
)
START_POSTGRES: Final = "An embedded one is started by any command, such as `warehouse status`."
END_OTHER_UI: Final = (
    "end the `warehouse ui` that started it, or that process; --no-daemon shows one more UI."
)
NAME_STORAGE: Final = (
    "name Dagster's own database and login in DAGSTER_URL"
    " (postgresql+psycopg2://warehouse_dagster:…@HOST/DATABASE_dagster)."
)
FORGET_AGAIN: Final = "warehouse forget --again"
IMPORT_ERASURES: Final = (
    "`warehouse forget --import FILE` with the newest list that `--export` wrote"
)
EXPORT_ERASURES: Final = "`warehouse forget --export`"
APPLY_ERASURES: Final = (
    f"{IMPORT_ERASURES}; without one: the numbers erased since by `warehouse forget`,"
    f" then `{FORGET_AGAIN}`."
)
RESTORE_KEY: Final = "restore the key, or compute all pseudonyms anew with `warehouse rekey`."
FINISH_REKEY: Final = (
    "let `warehouse rekey` finish; if it was stopped, run it again with the same key."
)
GENERATE_KEY: Final = "`warehouse rekey --generate`"
START_DAEMON: Final = "start `warehouse ui`, or the daemon's service."
SERVE_INSTEAD: Final = (
    "Type `make ui` (or `warehouse ui`) instead: it serves this warehouse with its own Dagster, its"
    " schedules and its guards. Other programs of Dagster's: `warehouse exec -- PROGRAM …`."
)
END_DEAD_RUN: Final = "the daemon ends it within a minute; so does any `warehouse backfill`."
SPREAD: Final = "`warehouse backfill --spread`"
LIST_ALARMS: Final = "warehouse alarms"
WATCH_NIGHTS: Final = "`warehouse status` shows how far they are"

Verb = Literal["backfill", "replay"]


def load_command(
    source: str,
    account: str | None,
    first: date | str,
    last: date | str,
    *,
    verb: Verb = "backfill",
    accept: Iterable[str] = (),
) -> str:
    """The command that loads these days again, from the vendor or (``replay``) from stored responses.

    ``accept``: the kinds of hold that the command accepts.
    """
    who = f" --account {account}" if account else ""
    options = "".join(f" {option}" for option in accept_options(accept))
    return f"warehouse {verb} --source {source}{who} --from {first} --to {last}{options}"


def load_commands(
    source: str,
    account: str | None,
    days: Iterable[date],
    *,
    verb: Verb = "backfill",
    accept: Iterable[str] = (),
) -> list[str]:
    """The commands that load these days again, one for each run of consecutive days."""
    kinds = tuple(accept)
    return [
        load_command(source, account, run[0], run[-1], verb=verb, accept=kinds)
        for run in runs_of(days)
    ]


def spread_command(source: str, account: str, first: date, last: date) -> str:
    """The command that lets the nightly runs load these days, within the budget."""
    return (
        f"warehouse backfill --spread --source {source} --account {account}"
        f" --from {first} --to {last}"
    )


def show_rejects(source: str, account: str | None, first: date, last: date) -> str:
    """The command that shows what was rejected of these days, and why."""
    who = f" --account {account}" if account else ""
    return f"warehouse rejects --source {source}{who} --from {first} --to {last}"


def acknowledge_alarms(ids: Iterable[int]) -> str:
    """The command that says of alarms that somebody knows of them: what they name is left as it is."""
    return f"{LIST_ALARMS} " + " ".join(f"--acknowledge {number}" for number in ids)


def accept_options(kinds: Iterable[str]) -> list[str]:
    """The options that accept a held answer: ``--accept-shrink``, ``--accept-rejects``."""
    return [f"--accept-{kind}" for kind in kinds]


def let_connect(database: str, user: str) -> str:
    """How a login is let into a database."""
    return (
        f'as its owner, or as an administrator: GRANT CONNECT ON DATABASE "{database}" TO "{user}";'
    )


def give_storage_rights(user: str, owner: str) -> str:
    """How a login gets all that Dagster needs in its storage."""
    statements = (
        f'GRANT USAGE, CREATE ON SCHEMA public TO "{user}";'
        f' GRANT SELECT, INSERT, UPDATE, DELETE ON ALL TABLES IN SCHEMA public TO "{user}";'
        f' GRANT USAGE ON ALL SEQUENCES IN SCHEMA public TO "{user}";'
    )
    if user == owner:
        return f"in that database: {statements}"
    return f"sign in as {owner} (DAGSTER_URL); or as {owner} in that database: {statements}"


def accept_hint(source: str, account: str, first: date, last: date, kinds: Iterable[str]) -> str:
    """What to do about held days: how to look at them, and the command that accepts them."""
    take = load_command(source, account, first, last, accept=kinds)
    return (
        f"look at it with `warehouse held --source {source} --account {account}`;"
        f" to take it as it is: {take}"
    )


def spans_text(days: Sequence[date]) -> str:
    """``2024-04-01, 2024-04-03..2024-04-05``."""
    found = runs_of(days)
    texts = [span_text(run) for run in found]
    if len(texts) > SPANS_SHOWN:
        left = sum(len(run) for run in found[SPANS_SHOWN:])
        texts[SPANS_SHOWN:] = [f"and {left} more days until {found[-1][-1]}"]
    return ", ".join(texts)


_LOAD_COMMAND = re.compile(
    r"warehouse (backfill|replay) --source (\S+)(?: --account (\S+))?"
    r" --from ([\d-]+) --to ([\d-]+)((?: --accept-\w+)*)"
)


def join_commands(commands: Iterable[str]) -> list[str]:
    """Join commands that load consecutive days into one; the others stay as they are."""
    joined: dict[tuple[str, ...] | str, set[date]] = {}
    for command in commands:
        found = _LOAD_COMMAND.fullmatch(command)
        if found is None:
            joined[command] = set()
            continue
        verb, source, account, first, last, options = found.groups(default="")
        begin, end = date.fromisoformat(first), date.fromisoformat(last)
        days = {begin + timedelta(days=n) for n in range((end - begin).days + 1)}
        joined.setdefault((verb, source, account, options), set()).update(days)
    lines = []
    for key, days in joined.items():
        if isinstance(key, str):
            lines.append(key)
            continue
        verb, source, account, options = key
        kinds = re.findall(r"--accept-(\w+)", options)
        known: Verb = "replay" if verb == "replay" else "backfill"
        lines += load_commands(source, account, days, verb=known, accept=kinds)
    return lines
