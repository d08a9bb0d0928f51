"""The list of feeds, in the order in which they are shown and run."""

from __future__ import annotations

from typing import Final

from dagster_project.model.feed import Feed
from dagster_project.vendors.calltouch.feed import FEEDS as CALLTOUCH
from dagster_project.vendors.tellody.feed import FEEDS as TELLODY
from dagster_project.vendors.trust.feed import FEEDS as TRUST

FEEDS: Final[tuple[Feed, ...]] = (
    *CALLTOUCH,
    *TELLODY,
    *TRUST,
)
