"""The exceptions, each named by what the caller can do about it.

A message says what was attempted, for which source, account and window, and how to mend it. No message
holds a secret, a phone number or an SMS's text: vendors' bodies and Postgres' DETAIL lines (which quote
rows) never enter one, and every text passes ``text/scrub.py``.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date, timedelta
from typing import ClassVar

from dagster_project.text.remedies import accept_hint, accept_options
from dagster_project.text.scrub import hide_secrets, scrub_text
from dagster_project.text.wording import span_text


class WarehouseError(Exception):
    """Base of all. ``exit_status`` is the exit status of the command line."""

    exit_status: ClassVar[int] = 1
    recovery: ClassVar[str] = "see the message"

    def __init__(
        self,
        what: str,
        *,
        source: str | None = None,
        account: str | None = None,
        window: object | None = None,
        hint: str | None = None,
    ) -> None:
        self.what = scrub_text(what)
        self.source = source
        self.account = account
        self.window = str(window) if window is not None else None
        self.hint = hint
        super().__init__(str(self))

    def __str__(self) -> str:
        where = " ".join(
            part
            for part in (
                self.source,
                f"account {self.account}" if self.account else None,
                self.window,
            )
            if part
        )
        text = f"{where}: {self.what}" if where else self.what
        return hide_secrets(f"{text} Way out: {self.hint}" if self.hint else text)

    def add_context(
        self,
        *,
        source: str | None = None,
        account: str | None = None,
        window: object | None = None,
    ) -> WarehouseError:
        """Fill in source, account and window where they are not set yet; return the error itself."""
        self.source = self.source or source
        self.account = self.account or account
        if self.window is None and window is not None:
            self.window = str(window)
        self.args = (str(self),)
        return self

    def days_of_window(self) -> set[date]:
        """The days of ``window``; empty if it has none."""
        if not self.window:
            return set()
        first, _, last = self.window.partition("..")
        begin, end = date.fromisoformat(first), date.fromisoformat(last or first)
        return {begin + timedelta(days=n) for n in range((end - begin).days + 1)}


class SettingsError(WarehouseError):
    """A setting is missing or wrong; nothing was attempted."""

    exit_status = 2
    recovery = "correct the setting"


class NoSuchDatabase(SettingsError):
    """The server has no database of the name that is set."""


class MayNotConnect(SettingsError):
    """The login is known, and has no right to this database."""


class CredentialsRefused(WarehouseError):
    """The vendor refuses the credentials. Never retried, since accounts lock."""

    recovery = "correct the credentials"


class AccessDenied(WarehouseError):
    """The credentials are right, but may not read this account."""

    recovery = "ask the vendor to grant access"


class RequestRefused(WarehouseError):
    """The vendor refuses this very request; it will refuse it again."""

    recovery = "change the request"


class TryLater(WarehouseError):
    """The vendor, the network or the database failed for now; retries are used up."""

    recovery = "run again later"


class QuotaSpent(WarehouseError):
    """The day's API points do not suffice for this window. ``calls_left``: how many calls they allow."""

    recovery = "run again after the budget resets"
    calls_left: int = 0


class AnswerNotTrusted(WarehouseError):
    """The answer is incomplete, contradicts itself or has an unknown form. The old rows stay."""

    recovery = "run again; if it repeats, look at the stored responses"


class AnswerTooLarge(AnswerNotTrusted):
    """One response is too large for memory. The old rows stay."""

    recovery = "ask for fewer days at once; if a single day is too large, ask the vendor"


class ValueUnreadable(AnswerNotTrusted):
    """A response of the documented form has a value of the wrong kind; its record is rejected."""


class HeldBack(AnswerNotTrusted):
    """An answer would delete rows that may still exist; it is held until a person accepts it.

    ``days`` are the held days; ``kinds`` the options that accept them, as in ``--accept-shrink``.
    """

    recovery = "look, then run again with the option that takes it"

    def __init__(
        self,
        days: Sequence[date],
        why: str,
        kinds: Sequence[str],
        *,
        source: str,
        account: str,
    ) -> None:
        self.days, self.kinds = tuple(days), tuple(kinds)
        first, last = min(days), max(days)
        super().__init__(
            f"the new answer is held, the old rows stand: {why}.",
            source=source,
            account=account,
            window=span_text(days),
            hint=(
                "an answer that can be taken ends the hold by itself;"
                f" {accept_hint(source, account, first, last, kinds)}"
            ),
        )

    @staticmethod
    def for_kinds(
        days: Sequence[date], why: str, kinds: Sequence[str], *, source: str, account: str
    ) -> HeldBack:
        """Make the error of the class that says why."""
        kind = NoLongerReadable if "rejects" in kinds else SuspiciouslyShrunk
        return kind(days, why, kinds, source=source, account=account)


class SuspiciouslyShrunk(HeldBack):
    """Days came back with far fewer rows than before, or a ledger without some of its records."""

    recovery = f"look, then run again with {accept_options(['shrink'])[0]}"


class NoLongerReadable(HeldBack):
    """Records of loaded days, or one of their fields, can no longer be read: the vendor changed their form."""

    recovery = (
        "have the change undone or read it by new code, or run again with"
        f" {accept_options(['rejects'])[0]}"
    )


class TooLittleRead(AnswerNotTrusted):
    """A first load is committed, but suspiciously little of it could be read."""

    recovery = "look at the rejected records; once the code reads them, replay"


class NothingStored(WarehouseError):
    """A replay was asked for a day without a complete stored response."""

    recovery = "extract the day from the vendor"


class DatabaseFailed(WarehouseError):
    """Postgres refused a statement. Carries SQLSTATE, table and constraint, never a row."""

    recovery = "see the SQLSTATE"


class VendorCannotAnswer(WarehouseError):
    """The vendor's API cannot answer for this window."""

    recovery = "none: the vendor keeps no such history"


class Unexpected(WarehouseError):
    """A defect of this program, shown by its kind and place only. The window failed; its old rows stay."""

    recovery = "report it"
