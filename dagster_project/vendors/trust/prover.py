"""Prove whether ranges are honoured: ask the vendor when that is due, and store the proof between runs.

One company's proof is valid for all companies with the same server and parameter names, so the companies are asked
one after another until one is conclusive. A company that cannot be asked (no access, an outage) is skipped.

A server may change between two proofs. So before a run loads days of a company, it asks once for a day long ago. A
response with figures overturns the proof; an empty response confirms it, together with the responses without a range
that the proof is based on.
"""

from __future__ import annotations

import threading
from collections import defaultdict
from collections.abc import Callable
from dataclasses import replace
from datetime import datetime
from typing import Any

from dagster_project.errors import AccessDenied, AnswerNotTrusted, RequestRefused, TryLater
from dagster_project.model.range_proof import RangeProof
from dagster_project.model.response import ExtractStats
from dagster_project.model.vendor_store import ProofStore
from dagster_project.vendors.trust.api import SOURCE, Api
from dagster_project.vendors.trust.range_proof import (
    LONG_AGO,
    Observation,
    State,
    decide,
    effective_proof,
    is_due,
    overturn_note,
    recent_days,
)
from dagster_project.vendors.trust.settings import TrustSettings

REASONS_GIVEN = 5


class Prover:
    """Keeps the range proof. ``outage``: what prevented the last attempt from being conclusive."""

    def __init__(
        self, settings: TrustSettings, api: Api, store: ProofStore, now: Callable[[], datetime]
    ) -> None:
        self._settings = settings
        self._api = api
        self._store = store
        self._now = now
        self._lock = threading.Lock()
        self._known: list[RangeProof] | None = None
        self._confirmed: set[int] = set()
        self._confirming: defaultdict[int, threading.Lock] = defaultdict(threading.Lock)
        self.outage: TryLater | None = None

    def get_proof(self, stats: ExtractStats) -> RangeProof:
        """Get the effective proof; ask the vendor if that is due."""
        with self._lock:
            known = self._known if self._known is not None else self._load()
            if is_due(known, self._now()):
                known = self._load()
            if is_due(known, self._now()):
                known = self._ask_companies(known, stats)
            self._known = known
            found = effective_proof(known)
            assert found is not None
            return found

    def confirm(self, company: int, stats: ExtractStats) -> RangeProof:
        """Get the effective proof for a company's days; that ranges are honoured is confirmed once.

        Raises:
            AccessDenied, AnswerNotTrusted, CredentialsRefused, RequestRefused, TryLater: ranges were
                honoured, and it could not be found out whether they still are.
        """
        proof = self.get_proof(stats)
        with self._lock:
            confirming = self._confirming[company]
        with confirming:
            if proof.state != "honoured" or company in self._confirmed:
                return self.get_proof(stats)
            asked_at = self._now()
            long_ago = self._api.fetch_figures(company, (LONG_AGO, LONG_AGO), stats)
            if long_ago.is_empty:
                self._confirmed.add(company)
                return proof
            if not any(long_ago.counters().values()):
                raise AnswerNotTrusted(
                    f"for {LONG_AGO} counters are missing, so it is not known whether the server honours ranges.",
                    source=SOURCE,
                    account=str(company),
                    hint="run again; if it repeats, look at the vendor's answers.",
                )
            return self._overturn(proof, company, asked_at, Observation(long_ago=long_ago))

    def _overturn(
        self, proof: RangeProof, company: int, asked_at: datetime, seen: Observation
    ) -> RangeProof:
        """Replace a proof that was overturned, for later runs too."""
        ignored = replace(
            proof,
            state="ignored",
            account=str(company),
            asked_at=asked_at,
            reason=f"for {LONG_AGO}, before the company existed, there are figures",
            evidence=seen.evidence(),
        )
        ignored = replace(ignored, reason=ignored.reason + overturn_note(ignored, proof))
        with self._lock:
            self._known = [ignored]  # whatever the date of the other proof
        self._store.save(ignored)
        return ignored

    def stored_proof(self) -> RangeProof | None:
        """The effective proof as stored; the vendor is not asked."""
        return effective_proof(self._load())

    def prove_range(self, company: int, stats: ExtractStats) -> RangeProof:
        """Ask one company, and return what its responses prove; it is not stored.

        Raises:
            CredentialsRefused, TryLater: see ``errors``.
        """
        asked_at = self._now()
        seen = Observation()
        try:
            self._observe(company, seen, stats)
        except (AccessDenied, RequestRefused, AnswerNotTrusted) as error:
            seen.failure = f"{type(error).__name__}: {error.what}"
        return self._proof_of(company, asked_at, *decide(seen), seen.evidence())

    def _observe(self, company: int, seen: Observation, stats: ExtractStats) -> None:
        seen.rolling = self._api.fetch_figures(company, None, stats)
        if seen.rolling.is_empty:
            return
        seen.long_ago = self._api.fetch_figures(company, (LONG_AGO, LONG_AGO), stats)
        if not seen.long_ago.is_empty:
            return
        today = self._now().astimezone(self._settings.time_zone).date()
        for day in recent_days(today):
            seen.recent[day] = self._api.fetch_figures(company, (day, day), stats)
            if not seen.recent[day].is_empty:
                break
        seen.rolling_again = self._api.fetch_figures(company, None, stats)

    def _ask_companies(self, known: list[RangeProof], stats: ExtractStats) -> list[RangeProof]:
        """Ask the companies now; return the known proofs with the new one, which is stored.

        After an outage it is kept in this process only, so that the next run tries again at once.
        """
        self.outage = None
        asked: list[RangeProof] = []
        for company in self._settings.company_ids:
            try:
                asked.append(self.prove_range(company, stats))
            except TryLater as error:
                self.outage = error
                reason = f"TryLater: {error.what}"
                asked.append(self._proof_of(company, self._now(), "unproven", reason, {}))
            if asked[-1].is_conclusive:
                self.outage = None
                self._confirmed.add(company)
                break
        proof = asked[-1]
        if not proof.is_conclusive:
            reasons = [f"company {each.account}: {each.reason}" for each in asked[:REASONS_GIVEN]]
            proof = replace(proof, reason="; ".join(reasons))
        proof = replace(proof, reason=proof.reason + overturn_note(proof, effective_proof(known)))
        if self.outage is None:
            self._store.save(proof)
        return [each for each in known if each.state != proof.state] + [proof]

    def _proof_of(
        self, company: int, asked_at: datetime, state: State, reason: str, evidence: dict[str, Any]
    ) -> RangeProof:
        return RangeProof(
            source=SOURCE,
            server=self._settings.base_url,
            params=self._settings.params,
            state=state,
            account=str(company),
            asked_at=asked_at,
            reason=reason,
            evidence=evidence,
        )

    def _load(self) -> list[RangeProof]:
        stored = self._store.load(SOURCE, self._settings.base_url, self._settings.params)
        return list(stored)
