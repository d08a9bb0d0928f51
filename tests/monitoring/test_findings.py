"""What the doctor groups, and its last line."""

from __future__ import annotations

from dagster_project.model.finding import Finding
from dagster_project.monitoring.findings import group_gaps, summarize


def test_the_last_line_counts_what_is_wrong_noted_and_good() -> None:
    good, note = Finding("disk", "good", "free."), Finding("alarms", "note", "told to nobody.")
    wrong = Finding("schema", "wrong", "not up to date.", "migrate.")
    assert summarize([good, note, note]) == "nothing is wrong, 2 notes, 1 good."
    assert summarize([wrong, note]) == "1 to be mended, 1 note, 0 good."


def test_what_only_a_superuser_can_close_is_one_line_that_says_so() -> None:
    functions = [f"pg_advisory_lock_{n}(bigint)" for n in range(31)]
    gaps = [
        *(
            (f"PUBLIC may call {f}", f"REVOKE EXECUTE ON FUNCTION {f} FROM PUBLIC")
            for f in functions
        ),
        (
            "the login warehouse_bi reads bi without a limit: temp_file_limit",
            "ALTER ROLE warehouse_bi SET temp_file_limit = '512MB'",
        ),
    ]
    [one] = group_gaps(gaps)
    assert one.state == "wrong"
    assert "only a superuser" in one.text
    assert "31 built-in functions" in one.text
    assert "temporary files of warehouse_bi have no limit" in one.text
    assert "SELECT mend FROM ops.security_gap" in (one.hint or "")
    assert len(one.text) < 250


def test_the_limits_of_one_login_are_one_line_with_its_statements() -> None:
    mends = [
        "ALTER ROLE guest CONNECTION LIMIT 20",
        "ALTER ROLE guest SET search_path = bi",
        "ALTER ROLE guest SET statement_timeout = '60s'",
    ]
    [one] = group_gaps([(f"the login guest reads bi without a limit: {m}", m) for m in mends])
    assert (
        one.text
        == "the login guest reads bi without CONNECTION LIMIT, search_path, statement_timeout."
    )
    assert one.hint == f"as an administrator: {'; '.join(mends)};"


def test_what_is_of_no_kind_keeps_its_line_and_statement() -> None:
    gap = ("PUBLIC may create objects in schema public", "REVOKE ALL ON SCHEMA public FROM PUBLIC")
    [one] = group_gaps([gap])
    assert one.text == f"{gap[0]}."
    assert one.hint == f"as an administrator: {gap[1]};"
    assert group_gaps([]) == []
