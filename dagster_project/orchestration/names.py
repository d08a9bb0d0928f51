"""What a feed's op and job are called; they may not be called alike."""

from __future__ import annotations

from typing import Final

from dagster_project.model.feed import Feed

ACCOUNT: Final = "account "
"""Before the account's label, in what a check tells of one account."""


def op_name(feed: Feed) -> str:
    """The op under a feed's assets."""
    return f"load_{feed.source}"


def job_name(feed: Feed) -> str:
    """The job that asks the vendor and loads: both assets of a feed."""
    return f"refresh_{feed.source}"


def reconcile_job_name(feed: Feed) -> str:
    """The job, and the schedule, that hold finished months against the vendor."""
    return f"reconcile_{feed.source}"
