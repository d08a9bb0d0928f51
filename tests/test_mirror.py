"""The tests mirror the package: a module with behaviour has a file of tests of its name."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

import dagster_project

PACKAGE = Path(dagster_project.__file__).parent
TESTS = Path(__file__).parent

ONLY_DECLARES = {
    "cli/privacy_verbs.py": "verbs of the command, their options and help",
    "cli/verbs.py": "verbs of the command, their options and help",
    "config/alarm_sections.py": "settings of alarms, a field each",
    "config/sections.py": "settings of the core, a field each",
    "model/batch.py": "a dataclass",
    "model/feed.py": "what a vendor fills in for a feed",
    "model/response.py": "a dataclass",
    "model/vendor_store.py": "protocols",
    "vendors/calltouch/feed.py": "a feed",
    "vendors/calltouch/settings.py": "settings of one vendor, a field each",
    "vendors/tellody/feed.py": "two feeds",
    "vendors/tellody/settings.py": "settings of one vendor, a field each",
    "vendors/trust/feed.py": "a feed",
    "vendors/calltouch/name_words.py": "words; one function makes the forms of names",
    "vendors/trust/settings.py": "settings of one vendor, a field each",
}
"""Modules that declare data; the functions in them are its defaults and conversions."""

TESTED_IN = {
    "cli/remove_account.py": "privacy/test_account_removal.py",
    "cli/console.py": "cli/test_status.py",
    "cli/options.py": "cli/test_main.py",
    "cli/program.py": "cli/test_main.py",
    "cli/scope.py": "cli/test_main.py",
    "cli/logins.py": "docker/test_inside.py",
    "cli/server.py": "cli/test_main.py",
    "cli/set_up.py": "cli/test_demo.py",
    "cli/stack.py": "docker/test_inside.py",
    "cli/vendor_checks.py": "cli/test_doctor.py",
    "cli/wishes.py": "cli/test_plan.py",
    "config/raw_settings.py": "config/test_settings.py",
    "config/known_names.py": "config/test_project.py",
    "config/section.py": "config/test_settings.py",
    "config/values.py": "config/test_settings.py",
    "monitoring/alarm.py": "monitoring/test_alarm_outbox.py",
    "monitoring/alarm_queue.py": "monitoring/test_alarm_outbox.py",
    "orchestration/alarm_rules.py": "orchestration/test_alarms.py",
    "orchestration/assets.py": "orchestration/test_nights.py",
    "orchestration/dagster_log.py": "orchestration/test_retention.py",
    "orchestration/instance.py": "orchestration/test_storage.py",
    "orchestration/instance_checks.py": "cli/test_doctor.py",
    "orchestration/run_metrics.py": "cli/test_metrics.py",
    "pipeline/calls_left.py": "pipeline/test_due_days.py",
    "pipeline/forecast.py": "cli/test_plan.py",
    "pipeline/months.py": "pipeline/test_reconcile.py",
    "vendors/tellody/instants.py": "vendors/tellody/test_joda.py",
    "pipeline/opening.py": "pipeline/test_marts_upkeep.py",
    "warehouse/load/unchanged_days.py": "pipeline/test_load_days.py",
    "privacy/erasure_receipts.py": "privacy/test_erasure.py",
    "privacy/personal_data.py": "privacy/test_erasure.py",
    "privacy/rekey.py": "cli/test_rekey.py",
    "privacy/search_patterns.py": "privacy/test_erasure.py",
    "privacy/stored_responses.py": "privacy/test_erasure.py",
    "privacy/subject.py": "cli/test_subject.py",
    "vendors/calltouch/reduction.py": "vendors/calltouch/test_personal_data.py",
    "vendors/calltouch/row_by_row.py": "vendors/calltouch/test_pages.py",
    "vendors/calltouch/sms_page.py": "vendors/calltouch/test_pages.py",
    "warehouse/labels.py": "bi/test_labels.py",
    "warehouse/ledger/held_days.py": "pipeline/test_commit.py",
    "warehouse/ledger/load_receipts.py": "warehouse/load/test_window_load.py",
    "warehouse/ledger/receipt_writer.py": "warehouse/load/test_window_load.py",
    "warehouse/ledger/prune.py": "orchestration/test_retention.py",
    "warehouse/load/conditions.py": "warehouse/load/test_window_load.py",
    "warehouse/load/existing_rows.py": "warehouse/load/test_window_load.py",
    "warehouse/load/row_writer.py": "warehouse/load/test_window_load.py",
    "warehouse/reconciliations.py": "orchestration/test_reconciliation.py",
    "warehouse/vendor_store.py": "vendors/trust/test_prover.py",
}
"""Modules that another file's tests run through; each that gets a file of its own goes from here."""

TESTED_TOGETHER = {"sandbox": "sandbox", "warehouse/schema": "warehouse/schema"}
"""Folders whose modules are tested as one thing: the played vendors over HTTP, migrations as they are applied."""


def modules_with_behaviour() -> list[str]:
    return [
        file.relative_to(PACKAGE).as_posix()
        for file in sorted(PACKAGE.rglob("*.py"))
        if not file.name.startswith("__")
        and any(
            isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
            for node in ast.walk(ast.parse(file.read_text()))
        )
    ]


@pytest.mark.parametrize("module", modules_with_behaviour())
def test_a_module_with_behaviour_has_tests_of_its_name(module: str) -> None:
    path = Path(module)
    if (TESTS / path.parent / f"test_{path.name}").is_file() or module in ONLY_DECLARES:
        return
    for folder, tests in TESTED_TOGETHER.items():
        if module.startswith(f"{folder}/"):
            assert list((TESTS / tests).glob("test_*.py"))
            return
    assert module in TESTED_IN, f"write tests/{path.parent}/test_{path.name}"
    assert (TESTS / TESTED_IN[module]).is_file(), f"{TESTED_IN[module]} is not there"
