"""The doctor's last line."""

from __future__ import annotations

from dagster_project.model.finding import Finding
from dagster_project.monitoring.findings import summarize


def test_the_last_line_counts_what_is_wrong_noted_and_good() -> None:
    good, note = Finding("disk", "good", "free."), Finding("alarms", "note", "told to nobody.")
    wrong = Finding("schema", "wrong", "not up to date.", "migrate.")
    assert summarize([good, note, note]) == "nothing is wrong, 2 notes, 1 good."
    assert summarize([wrong, note]) == "1 to be mended, 1 note, 0 good."
