"""The names that the demo gives to the played accounts and texts.

A vendor's folder may have a module ``names``: ``ACCOUNTS`` (account to label) and ``TEMPLATES`` (a piece of
the text as ``bi`` shows it, label, category, campaign). Both become CSV files for ``warehouse labels``.
"""

from __future__ import annotations

import csv
import importlib
import importlib.util
import io
from collections.abc import Iterable, Sequence
from types import ModuleType

from dagster_project.sandbox.world import VENDORS


def accounts_csv(standing: Iterable[Sequence[str]]) -> str:
    """Labels of the accounts (vendor, account) that stand in the warehouse and have a name here."""
    named = {
        (vendor, account): label
        for vendor, module in _modules().items()
        for account, label in module.ACCOUNTS.items()
    }
    rows = [
        (vendor, account, named[vendor, account])
        for vendor, account in standing
        if (vendor, account) in named
    ]
    return _csv(("vendor", "account", "label"), rows)


def templates_csv(shown: Iterable[tuple[str, str]]) -> str:
    """Labels of the templates (id, text as bi shows it) that have a name here."""
    named = [row for module in _modules().values() for row in getattr(module, "TEMPLATES", ())]
    rows = [
        (template_id, *names)
        for template_id, text in dict(shown).items()
        for piece, *names in named
        if piece in text
    ]
    return _csv(("template_id", "label", "category", "campaign"), rows)


def _modules() -> dict[str, ModuleType]:
    root = __package__ or ""
    paths = {vendor: f"{root}.{vendor}.names" for vendor in VENDORS}
    return {
        vendor: importlib.import_module(path)
        for vendor, path in paths.items()
        if importlib.util.find_spec(path)
    }


def _csv(header: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(header)
    writer.writerows(rows)
    return text.getvalue()
