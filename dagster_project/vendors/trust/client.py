"""Trust's client: one call for each company and day if the server honours ranges of days, else only today.

Whether the server honours a range (its parameters are not documented: ``TRUST_RANGE_PARAMS``) is proved before a
figure is called daily; see ``range_proof``. A proof is valid for a night; each run confirms it with one request for
each company (``prover``). Without a proof only today can be loaded, as the rolling week that ends today. Every other
day is refused, since the vendor cannot answer for it, now or later.

Each response's stored request says which days it covers, for replays. "The last 7 days" means today and the six days
before.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import replace
from datetime import date, datetime
from typing import Final

from dagster_project import clock
from dagster_project.errors import TryLater, ValueUnreadable, VendorCannotAnswer
from dagster_project.model.range_proof import RangeProof
from dagster_project.model.response import ExtractStats, Response
from dagster_project.model.vendor_store import ProofStore
from dagster_project.model.window import ONE_DAY, Window
from dagster_project.transport.session import Session
from dagster_project.vendors.trust.api import SOURCE, Api
from dagster_project.vendors.trust.figures import Figures, read_figures
from dagster_project.vendors.trust.prover import Prover
from dagster_project.vendors.trust.rows import Coverage
from dagster_project.vendors.trust.settings import TrustSettings

ROLLING_DAYS: Final = 7
SERVER_STATES: Final = {
    "honoured": "honours a range of days",
    "ignored": "ignores a range of days",
    "unproven": "is not proved to honour a range of days",
}


class TrustClient:
    """The client of all companies and days of a run; safe to use from many threads.

    ``now`` decides which day is today at the vendor.
    """

    def __init__(
        self,
        settings: TrustSettings,
        *,
        proofs: ProofStore,
        session: Session | None = None,
        now: Callable[[], datetime] = clock.now,
    ) -> None:
        self._settings = settings
        self._now = now
        self._api = Api(settings, session)
        self._prover = Prover(settings, self._api, proofs, now)

    def close(self) -> None:
        self._api.close()

    @property
    def today(self) -> date:
        return self._now().astimezone(self._settings.time_zone).date()

    def extract(self, window: Window, stats: ExtractStats) -> Iterator[Response]:
        """Yield one response for each day if ranges are honoured; else one for today, the rolling week.

        Raises:
            VendorCannotAnswer: for a day that has not begun, or, without ranges, for any day but today.
            AccessDenied: to this company.
            AnswerNotTrusted: a response, after it was yielded to be stored, is not of the documented form.
            CredentialsRefused, RequestRefused, TryLater: see ``errors``.
        """
        company = int(window.account.label)
        proof = self._confirm_proof(company, stats)
        self._refuse_unanswerable(window, proof)
        for number, day in enumerate(window.days, start=1):
            if proof.state == "honoured":
                coverage = Coverage(day, day, is_daily=True)
                answer = self._api.ask(company, (day, day), stats, number)
            else:
                coverage = Coverage(day - (ROLLING_DAYS - 1) * ONE_DAY, day, is_daily=False)
                answer = self._api.ask(company, None, stats, number)
                self._refuse_unanswerable(window, proof)  # midnight may have passed
            stats.pages += 1
            yield replace(answer, request={**answer.request, "covers": coverage.as_json()})
            with suppress(ValueUnreadable):  # the row encoder rejects it
                read_figures(answer.body)  # it is stored in any case, but complete only if readable

    def get_proof(self, stats: ExtractStats) -> RangeProof:
        """Get the effective proof and note it in the stats; the vendor is asked if that is due."""
        return self._note_proof(self._prover.get_proof(stats), stats)

    def _confirm_proof(self, company: int, stats: ExtractStats) -> RangeProof:
        """Get the effective proof for a company's days, confirmed once by this client."""
        return self._note_proof(self._prover.confirm(company, stats), stats)

    def _note_proof(self, proof: RangeProof, stats: ExtractStats) -> RangeProof:
        stats.notes["range_proof"] = proof.summary()
        return proof

    def find_answerable(self, window: Window, stats: ExtractStats) -> list[date]:
        """Find the days of a window that can be requested now: until today, or only today."""
        today = self.today
        if self._confirm_proof(int(window.account.label), stats).state == "honoured":
            return [day for day in window.days if day <= today]
        return [day for day in window.days if day == today]

    def newest_day(self, stats: ExtractStats) -> date:
        """The newest day for a nightly run: yesterday, the last whole day; or, without ranges, today."""
        return self.today - ONE_DAY if self.get_proof(stats).state == "honoured" else self.today

    def fetch_statistics(
        self, company: int, first_day: date, last_day: date, stats: ExtractStats
    ) -> Figures:
        """Fetch the figures of a range of days in one call, to compare with the sum of its days.

        Raises:
            VendorCannotAnswer: the server is not proved to honour ranges.
        """
        proof = self.get_proof(stats)
        if proof.state != "honoured":
            raise self._unanswerable_error(f"{first_day}..{last_day}", proof).add_context(
                account=str(company)
            )
        return self._api.fetch_figures(company, (first_day, last_day), stats)

    def check(self, stats: ExtractStats) -> RangeProof | None:
        """Get a token, and return the stored proof, if any; requests no statistics.

        Raises:
            CredentialsRefused, TryLater: see ``errors``.
        """
        self._api.sign_in(stats)
        return self._prover.stored_proof()

    def _refuse_unanswerable(self, window: Window, proof: RangeProof) -> None:
        today = self.today
        if proof.state != "honoured" and window.days != [today]:
            raise self._unanswerable_error(str(window), proof).add_context(
                account=window.account.label
            )
        if window.last_day > today:
            raise VendorCannotAnswer(
                f"{window.last_day} has not begun.", source=SOURCE, account=window.account.label
            )

    def _unanswerable_error(self, days: str, proof: RangeProof) -> TryLater | VendorCannotAnswer:
        if self._prover.outage is not None and not proof.is_conclusive:
            return TryLater(
                f"whether it can answer for {days} could not be found out ({proof.reason}).",
                source=SOURCE,
                hint="run again later.",
            )
        return VendorCannotAnswer(
            f"it cannot answer for {days}: its server {SERVER_STATES[proof.state]} ({proof.reason})."
            f" It answers for the last {ROLLING_DAYS} days alone, as of today.",
            source=SOURCE,
            hint="load today; other days become possible once ranges are proved to be honoured.",
        )
