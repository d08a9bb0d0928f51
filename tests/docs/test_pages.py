"""No page names a command, make target, setting or place that does not exist; none is forgotten."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from dagster_project.cli.main import warehouse
from dagster_project.config.settings import load_settings
from tests.docs.pages import DOCS, FENCE, ROOT, links, pages, places

EXAMPLE = (ROOT / ".env.example").read_text()
SETTING = re.compile(
    r"\b(?:WAREHOUSE|CALLTOUCH|TELLODY|TRUST|ALARM|PII|RAW|RECEIPT|DAGSTER|SUPERSET|ALLOW)_[A-Z_]*[A-Z]\b"
)
INTERNAL = {
    "WAREHOUSE_CLOCK_FILE",
    "WAREHOUSE_CLOCK",
    "DAGSTER_HOME",
    "WAREHOUSE_DAGSTER_STORAGE_URL",
}
INTERNAL |= {
    "WAREHOUSE_SUPERSET",
    "WAREHOUSE_DATABASE",
    "WAREHOUSE_TAG",
    "WAREHOUSE_ENV",
    "SUPERSET_CONFIG_PATH",
    "SUPERSET_HOME",
}
INTERNAL |= {"DAGSTER_EVENT_BATCH_SIZE"}  # Dagster's own, which the program sets
INTERNAL |= {"DAGSTER_DISABLE_TELEMETRY", "WAREHOUSE_BROKER_URL", "WAREHOUSE_RESULTS_URL"}
STACK = {"WAREHOUSE_TAG"}
"""Of the compose files alone."""
EXAMPLES = {"CALLTOUCH_DAILY_POINTS", "CALLTOUCH_DAILY_POINTS_102", "TELLODY_CURRENCY"}
EXAMPLES |= {"WAREHOUSE_OWNERS"}
"""Of ``.env.example``: what has no default, so that an example stands there."""
PAGES = pytest.mark.parametrize("page", pages(), ids=lambda page: str(page.relative_to(ROOT)))


def settings_of_the_code() -> set[str]:
    files = [ROOT / "bi" / "start.py", *(ROOT / "dagster_project").rglob("*.py")]
    found = [name for file in files for name in SETTING.findall(file.read_text())]
    return {name.removesuffix("_FILE") for name in found} - INTERNAL


@PAGES
def test_links_lead_to_files_and_places_that_exist(page: Path) -> None:
    for path, place in links(page):
        assert path.exists(), f"{page.name} links to {path}"
        if place:
            assert place in places(path), f"{page.name} links to {path.name}#{place}"


@PAGES
def test_commands_that_are_named_exist(page: Path) -> None:
    named = set(re.findall(r"`warehouse ([a-z][a-z-]*)\b", page.read_text()))
    assert named <= set(warehouse.commands)


@PAGES
def test_commands_to_type_exist(page: Path) -> None:
    blocks = FENCE.findall(page.read_text())
    for block in (one for one in blocks if re.match(r" *```(sh|bash|console)?\n", one)):
        named = set(re.findall(r"^(?:[^#\n]*[ /])?warehouse ([a-z][a-z-]*)\b", block, re.MULTILINE))
        assert named <= set(warehouse.commands), block


@PAGES
def test_make_targets_that_are_named_exist(page: Path) -> None:
    makefile = (ROOT / "Makefile").read_text()
    for target in set(re.findall(r"(?:`|^)make ([a-z]+)", page.read_text(), re.MULTILINE)):
        assert re.search(rf"^{target}:", makefile, re.MULTILINE), target


@PAGES
def test_settings_that_are_named_exist(page: Path) -> None:
    named = {name.removesuffix("_FILE") for name in SETTING.findall(page.read_text())}
    assert named - settings_of_the_code() - INTERNAL - STACK == set()


@pytest.mark.parametrize("name", sorted(settings_of_the_code()))
def test_every_setting_is_explained(name: str) -> None:
    assert f"`{name}" in (DOCS / "settings.md").read_text(), f"docs/settings.md lacks {name}"


def commented() -> dict[str, str]:
    """The example's lines, as if every one were in force."""
    return dict(re.findall(r"^# ([A-Z_0-9]+)=(.*)$", EXAMPLE, re.MULTILINE))


@pytest.mark.parametrize("name", sorted(settings_of_the_code()))
def test_every_setting_is_in_the_example(name: str) -> None:
    assert name in commented(), f".env.example does not name {name}"


def test_the_example_names_no_setting_that_does_not_exist() -> None:
    named = {name.removesuffix("_FILE") for name in SETTING.findall(EXAMPLE)}
    assert named - settings_of_the_code() - INTERNAL == set()


def test_the_examples_lines_are_the_defaults_and_can_be_read() -> None:
    credentials = {"PII_HASH_KEY": "x" * 40, "CALLTOUCH_SITE_IDS": "101,102"}
    credentials |= {"CALLTOUCH_ACCESS_TOKEN": "x", "TELLODY_USERNAME": "x", "TELLODY_PASSWORD": "x"}
    credentials |= {"TRUST_CLIENT_ID": "x", "TRUST_CLIENT_SECRET": "x", "TRUST_COMPANY_IDS": "1"}
    lines = {name: value for name, value in commented().items() if value}
    assert load_settings({**lines, **credentials}, None).alarms.mail is not None
    servers = ("WAREHOUSE_URL", "DAGSTER_URL", "WAREHOUSE_BI_URL")
    defaults = {
        name: value
        for name, value in lines.items()
        if name not in {*EXAMPLES, *servers} and not name.startswith("ALARM_")
    }
    assert load_settings({**defaults, **credentials}, None) == load_settings(credentials, None)


def test_defaults_that_are_explained_are_those_of_the_code() -> None:
    settings, page = load_settings({}, None), (DOCS / "settings.md").read_text()
    assert f"| `WAREHOUSE_START_DATE` | `{settings.start_date}` |" in page
    assert f"| `WAREHOUSE_RANGE_DAYS` | `{settings.range_days}` |" in page
    assert f"| `RAW_RETENTION_DAYS` | `{settings.retention.raw_days}` |" in page
    assert f"| `PII_RETENTION_DAYS` | `{settings.retention.pii_days}` |" in page
