"""Logs in a form that other programs read: JSON lines.

What is told has a place in no other program's schema, so it is kept small and flat: one line an
event, with run, source, account and window where they are known. Counts, days and labels only: no
phone number, no message text, no vendor body, no secret.
"""

from __future__ import annotations

import json
import logging
import sys
from collections.abc import Mapping
from contextlib import suppress
from datetime import UTC, datetime
from typing import Any

from dagster_project.config.environment import read_environment
from dagster_project.errors import SettingsError, WarehouseError
from dagster_project.text.scrub import hide_secrets, scrub_text, scrub_uncaught_exceptions

FORMAT = "WAREHOUSE_LOG_FORMAT"
FIELDS = "told"
"""Attribute of a log record that holds its fields."""
log = logging.getLogger("dagster_project.told")
_NOWHERE = logging.NullHandler()


class ScrubbedRecord(logging.LogRecord):
    """A record of any logger: neither its message nor its exception tells a secret or a number."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        with suppress(
            Exception
        ):  # of an argument that cannot be written: logging tells of it later
            self.msg = _scrubbed_value(self.msg)
            if isinstance(self.args, Mapping):
                self.args = {name: _scrubbed_value(one) for name, one in self.args.items()}
            elif self.args:
                self.args = tuple(map(_scrubbed_value, self.args))
            if self.exc_info and self.exc_info[0] is not None:
                # Formatters take this text as it is, where it stands.
                self.exc_text = scrub_text(logging.Formatter().formatException(self.exc_info))


def _scrubbed_value(value: Any) -> Any:
    """The value itself, so that formatters get what they expect; its text, where that had to change."""
    if isinstance(value, int | float):
        return value
    text = str(value)
    clean = scrub_text(text)
    return value if clean == text else clean


class JsonLines(logging.Formatter):
    """A record as one line of JSON: time, level, logger, message, and the fields it was told with."""

    def format(self, record: logging.LogRecord) -> str:
        line: dict[str, Any] = {
            "time": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds"),
            "level": record.levelname.lower(),
            "logger": record.name,
            "message": record.getMessage(),
            **getattr(record, FIELDS, {}),
        }
        meta = getattr(record, "dagster_meta", None)
        if isinstance(meta, Mapping) and meta.get("run_id"):
            line.setdefault("run", meta["run_id"])
        if record.exc_info and record.exc_info[0] is not None:
            line["error"] = record.exc_info[0].__name__
        return hide_secrets(json.dumps(line, ensure_ascii=False, default=str))


def configure_logs() -> None:
    """Let the product's log go to standard error as ``WAREHOUSE_LOG_FORMAT`` says; scrub every log.

    ``json``: one line of JSON an event, from INFO upwards. ``text`` (the default): warnings and
    errors, as Python writes them. Safe to call twice.

    Raises:
        SettingsError: it is neither.
    """
    logging.setLogRecordFactory(ScrubbedRecord)
    scrub_uncaught_exceptions()
    wanted = read_environment().get(FORMAT) or "text"
    if wanted not in ("json", "text"):
        raise SettingsError(f"{FORMAT} is neither json nor text.", hint="use one of the two.")
    # In text it is told by whoever runs the load: in the terminal, or in the run's event log.
    log.addHandler(_NOWHERE)
    product = logging.getLogger("dagster_project")
    if wanted == "text" or any(isinstance(h.formatter, JsonLines) for h in product.handlers):
        return
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(JsonLines())
    product.addHandler(handler)
    product.setLevel(logging.INFO)
    product.propagate = False


def log_loaded(run: str, source: str, account: str, window: str, **counts: Any) -> None:
    """Days of an account were committed."""
    fields = {"run": run, "source": source, "account": account, "window": window, **counts}
    log.info("loaded", extra={FIELDS: fields})


def log_problem(run: str, source: str, problem: WarehouseError) -> None:
    """A window failed; the error's own text is safe to tell."""
    fields = {
        "run": run,
        "source": problem.source or source,
        "account": problem.account,
        "window": problem.window,
        "error": type(problem).__name__,
        "recovery": problem.recovery,
    }
    log.error(problem.what, extra={FIELDS: fields})
