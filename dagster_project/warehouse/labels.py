"""What the user tells of accounts, templates and prices, from CSV.

A file is of one kind, which its header decides, and is taken as a whole or not at all. Every line is checked: what
names an account or a template that is not known, or says two things of one, is refused with its line.
"""

from __future__ import annotations

import csv
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any
from uuid import UUID

from dagster_project.errors import SettingsError
from dagster_project.text.wording import pluralize
from dagster_project.warehouse import price_list
from dagster_project.warehouse.connection import Connection
from dagster_project.warehouse.price_list import PRICE_COLUMNS, Line

ACCOUNT_COLUMNS = ("vendor", "account", "label")
TEMPLATE_COLUMNS = ("template_id", "label", "category", "campaign")


def load_labels(connection: Connection, lines: Iterable[str], name: str = "the file") -> list[str]:
    """Take labels of accounts or templates, or the price list; answers what changed. The caller commits.

    The header decides: ``vendor,account,label``, ``template_id,label,category,campaign`` (further
    columns are left aside, so ``bi.template`` exported, filled in and loaded again will do; an empty
    field takes a label away), or that of a price list, which replaces the one that stands.
    ``refresh_stale`` afterwards brings the marts up to date.

    Raises:
        SettingsError: the header is another, or a line cannot be taken; nothing was changed.
    """
    # One at a time: two price lists at once would each take the place of the earlier one alone.
    connection.execute("SELECT pg_advisory_xact_lock(hashtextextended('labels', 0))")
    reader = csv.DictReader(lines)
    header = set(reader.fieldnames or [])
    for columns, take in KINDS:
        if set(columns) <= header:
            return take(connection, list(_lines(reader, columns, name)), name)
    raise SettingsError(
        f"{name} has the columns {', '.join(reader.fieldnames or []) or '(none)'}.",
        hint=f"begin it with {', or '.join(','.join(columns) for columns, _ in KINDS)}.",
    )


def _lines(reader: csv.DictReader[str], columns: Sequence[str], name: str) -> Iterator[Line]:
    for row in reader:
        fields = {column: (row[column] or "").strip() or None for column in columns}
        if fields[columns[0]] is None or None in row:
            raise SettingsError(
                f"{name}, line {reader.line_num}: the fields do not fit the header.",
                hint="correct the line; a field with a comma stands in quotes.",
            )
        yield Line(f"{name}, line {reader.line_num}", fields)


def _label_accounts(connection: Connection, lines: Sequence[Line], name: str) -> list[str]:
    known = price_list.known_accounts(connection)
    given: dict[tuple[str | None, ...], Line] = {}
    for line in lines:
        account = (line.fields["vendor"], line.fields["account"])
        if account not in known:
            raise price_list.unknown_account(line, known)
        _refuse_another(given, account, line, "the account")
    columns = [[line.fields[column] for line in lines] for column in ACCOUNT_COLUMNS]
    changed = connection.execute(
        "SELECT * FROM mart.label_accounts(%s::text[], %s::text[], %s::text[])", columns
    ).fetchall()
    return [f"{vendor} {account}: {before} → {after}" for vendor, account, before, after in changed]


def _label_templates(connection: Connection, lines: Sequence[Line], name: str) -> list[str]:
    ids = [_template_id(line) for line in lines]
    known = {
        row[0]
        for row in connection.execute("SELECT mart.known_templates(%s::uuid[])", (ids,)).fetchall()
    }
    given: dict[UUID, Line] = {}
    for template_id, line in zip(ids, lines, strict=True):
        if template_id not in known:
            raise SettingsError(
                f"{line.place}: there is no template {template_id}.",
                hint="take template_id from bi.template, as it is now.",
            )
        _refuse_another(given, template_id, line, "the template")
    distinct = list(given.items())
    columns = [[line.fields[column] for _, line in distinct] for column in TEMPLATE_COLUMNS[1:]]
    changed = connection.execute(
        "SELECT * FROM mart.label_templates(%s::uuid[], %s::text[], %s::text[], %s::text[])",
        [[template_id for template_id, _ in distinct], *columns],
    ).fetchall()
    return [
        f"{template_id}: label {label or '-'}, category {category or '-'}, campaign {campaign or '-'}"
        for template_id, label, category, campaign in changed
    ]


def _template_id(line: Line) -> UUID:
    text = line.fields["template_id"]
    try:
        return UUID(text or "")
    except ValueError:
        raise SettingsError(
            f"{line.place}: {text!r} is no template_id.", hint="take template_id from bi.template."
        ) from None


def _refuse_another(given: dict[Any, Line], key: object, line: Line, what: str) -> None:
    """Sites that share a template have a line each in an export: they are to say the same."""
    first = given.setdefault(key, line)
    if first is not line and first.fields != line.fields:
        raise SettingsError(
            f"{line.place}: {what} stands there twice, with other names than in {first.place}.",
            hint="leave one of the lines.",
        )


def _replace_prices(connection: Connection, lines: Sequence[Line], name: str) -> list[str]:
    changed = price_list.replace_prices(connection, lines)
    return [f"price list of {pluralize(len(lines), 'line')}"] if changed else []


Take = Callable[[Connection, Sequence[Line], str], list[str]]
KINDS: tuple[tuple[Sequence[str], Take], ...] = (
    (TEMPLATE_COLUMNS, _label_templates),
    (PRICE_COLUMNS, _replace_prices),
    (ACCOUNT_COLUMNS, _label_accounts),
)
"""Columns of a file of each kind, and what takes it."""
