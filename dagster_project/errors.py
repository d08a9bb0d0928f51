"""Every exception, named by what the caller can do about it.

Each says what was attempted, for which source, account and window, and the way out. None
carries a secret, a phone number or a message text: vendor bodies and Postgres' DETAIL lines
(which quote rows) never enter a message, and what does passes ``scrub``.
"""

from __future__ import annotations

from datetime import date
from typing import ClassVar

from dagster_project.scrub import scrubbed, without_secrets


class WarehouseError(Exception):
    """Base of all. ``exit_status`` is what the command line answers with."""

    exit_status: ClassVar[int] = 1
    recovery: ClassVar[str] = "see the message"

    def __init__(
        self,
        what: str,
        *,
        source: str | None = None,
        account: str | None = None,
        window: object | None = None,
        way_out: str | None = None,
    ) -> None:
        self.what = scrubbed(what)
        self.source = source
        self.account = account
        self.window = str(window) if window is not None else None
        self.way_out = way_out
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
        return without_secrets(f"{text} Way out: {self.way_out}" if self.way_out else text)

    def at(
        self,
        *,
        source: str | None = None,
        account: str | None = None,
        window: object | None = None,
    ) -> WarehouseError:
        """Fill in where it happened, for what the raiser did not know; answers itself."""
        self.source = self.source or source
        self.account = self.account or account
        if self.window is None and window is not None:
            self.window = str(window)
        self.args = (str(self),)
        return self


class SettingsError(WarehouseError):
    """A setting is missing or wrong: nothing was tried."""

    exit_status = 2
    recovery = "correct the setting"


class CredentialsRefused(WarehouseError):
    """The vendor does not accept who we say we are. Never retried: accounts lock."""

    recovery = "correct the credentials"


class AccessDenied(WarehouseError):
    """The credentials are right, but may not read this account."""

    recovery = "ask the vendor to grant access"


class RequestRefused(WarehouseError):
    """The vendor calls this very request wrong: the same request will be refused again."""

    recovery = "change the request"


class TryLater(WarehouseError):
    """The vendor, the network or the database was not able to; retries are used up."""

    recovery = "run again later"


class QuotaSpent(WarehouseError):
    """The day's API points do not suffice for this window. ``calls_left``: how many calls they do."""

    recovery = "run again after the budget resets"
    calls_left: int = 0


class AnswerNotTrusted(WarehouseError):
    """The answer is incomplete, contradicts itself or has an unknown form: old rows stay."""

    recovery = "run again; if it repeats, look at the stored responses"


class SuspiciouslyShrunk(AnswerNotTrusted):
    """A day came back with far fewer rows than it had: held until a person takes it."""

    recovery = "look, then run again with --accept-shrink"

    def __init__(self, day: date, before: int, after: int, *, source: str, account: str) -> None:
        self.day, self.before, self.after = day, before, after
        super().__init__(
            f"the day had {before} rows and came back with {after}: held, its old rows stand.",
            source=source,
            account=account,
            window=day,
            way_out=(
                f"if the vendor is right: warehouse backfill --source {source} --account {account}"
                f" --from {day} --to {day} --accept-shrink"
            ),
        )


class NothingStored(WarehouseError):
    """A replay was asked for a day of which no complete response is stored."""

    recovery = "extract the day from the vendor"


class DatabaseFailed(WarehouseError):
    """Postgres refused a statement. Carries SQLSTATE, table and constraint, never a row."""

    recovery = "see the SQLSTATE"


class VendorCannotAnswer(WarehouseError):
    """The vendor's API has no way to answer for this window; nothing is invented."""

    recovery = "none: the vendor keeps no such history"


class Unexpected(WarehouseError):
    """A defect of this program, told by kind and place alone; the window failed, its old rows stand."""

    recovery = "report it"
