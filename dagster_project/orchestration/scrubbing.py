"""What Dagster keeps and hands on, without secrets: its two narrow places.

Every text that is stored, whichever of Dagster's tables it is meant for, is a parameter of a statement
of SQLAlchemy's. Every exception that Dagster tells, in an event, in a tick of a sensor or to the
webserver, is made into a ``SerializableErrorInfo`` first. Whatever is logged, raised or reported in a
process that imports this package passes one of them.
"""

from __future__ import annotations

import traceback
from typing import Any, Final

import sqlalchemy as sa
from dagster_shared.error import SerializableErrorInfo

from dagster_project.text.scrub import hide_secrets, scrub_text

_UNSCRUBBED: Final = SerializableErrorInfo.from_traceback.__func__  # type: ignore[attr-defined]


def scrub_what_dagster_tells() -> None:
    """From now on, in this process; a second call changes nothing."""
    if not sa.event.contains(sa.Engine, "before_cursor_execute", _scrub_parameters):
        sa.event.listen(sa.Engine, "before_cursor_execute", _scrub_parameters, retval=True)
    # Dagster has no setting for it: its own redaction hides the whole message.
    SerializableErrorInfo.from_traceback = classmethod(_from_traceback)  # type: ignore[assignment]


def _scrub_parameters(
    connection: Any, cursor: Any, statement: str, parameters: Any, context: Any, executemany: bool
) -> tuple[str, Any]:
    return statement, _without_secrets(parameters, {})


def _without_secrets(value: Any, hidden: dict[str, str]) -> Any:
    """The value without secrets; ``hidden``: texts of the statement so far. Rows have many in common."""
    if isinstance(value, str):
        if value not in hidden:
            hidden[value] = hide_secrets(value)
        return hidden[value]
    if isinstance(value, dict):
        return {name: _without_secrets(one, hidden) for name, one in value.items()}
    if type(value) in (list, tuple):
        return type(value)(_without_secrets(one, hidden) for one in value)
    return value


def _from_traceback(
    cls: type[SerializableErrorInfo], told: traceback.TracebackException
) -> SerializableErrorInfo:
    """Causes and contexts are made by the same method, so each comes through here."""
    info: SerializableErrorInfo = _UNSCRUBBED(cls, told)
    return info._replace(
        message=scrub_text(info.message), stack=[scrub_text(frame) for frame in info.stack]
    )
