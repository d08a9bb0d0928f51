"""The README lags behind nothing: every command, make target and setting is in it, and nothing else."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from dagster_project.cli.main import warehouse
from dagster_project.config.settings import load_settings

ROOT = Path(__file__).parents[2]
README = (ROOT / "README.md").read_text()
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
INTERNAL |= {"WAREHOUSE_SUPERSET", "SUPERSET_CONFIG_PATH", "SUPERSET_HOME"}
INTERNAL |= {"DAGSTER_DISABLE_TELEMETRY", "WAREHOUSE_BROKER_URL", "WAREHOUSE_RESULTS_URL"}
EXAMPLES = {"CALLTOUCH_DAILY_POINTS", "CALLTOUCH_DAILY_POINTS_102", "TELLODY_CURRENCY"}
"""Of ``.env.example``: what has no default, so that an example stands there."""


def settings_of_the_code() -> set[str]:
    files = [ROOT / "bi" / "start.py", *(ROOT / "dagster_project").rglob("*.py")]
    found = [name for file in files for name in SETTING.findall(file.read_text())]
    return {name.removesuffix("_FILE") for name in found} - INTERNAL


@pytest.mark.parametrize("verb", sorted(warehouse.commands))
def test_every_verb_is_in_the_readme(verb: str) -> None:
    assert re.search(rf"`warehouse {verb}\b", README), f"README.md does not name warehouse {verb}"


def test_the_readme_names_no_verb_that_does_not_exist() -> None:
    named = set(re.findall(r"`warehouse ([a-z]+)\b", README))
    assert named <= set(warehouse.commands)


@pytest.mark.parametrize("name", sorted(settings_of_the_code()))
def test_every_setting_is_in_the_readme(name: str) -> None:
    assert f"`{name}" in README, f"README.md does not explain {name}"


def test_the_readme_and_the_example_name_no_setting_that_does_not_exist() -> None:
    known = settings_of_the_code()
    prose = README.partition("<!-- dictionary -->")[0]
    named = {
        name.removesuffix("_FILE") for text in (prose, EXAMPLE) for name in SETTING.findall(text)
    }
    assert {name for name in named if name not in known} <= INTERNAL


def commented() -> dict[str, str]:
    """The example's lines, as if every one were in force."""
    return dict(re.findall(r"^# ([A-Z_0-9]+)=(.*)$", EXAMPLE, re.MULTILINE))


@pytest.mark.parametrize("name", sorted(settings_of_the_code()))
def test_every_setting_is_in_the_example(name: str) -> None:
    assert name in commented(), f".env.example does not name {name}"


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


def test_every_make_target_that_the_readme_names_exists() -> None:
    makefile = (ROOT / "Makefile").read_text()
    for target in set(re.findall(r"`make ([a-z]+)", README)):
        assert re.search(rf"^{target}:", makefile, re.MULTILINE), target


def test_every_file_that_the_readme_links_to_exists() -> None:
    for link in re.findall(r"\]\(([^)#]+)\)", README):
        assert link.startswith("http") or (ROOT / link).exists(), link


def test_defaults_in_the_readme_are_those_of_the_code() -> None:
    settings = load_settings({}, None)
    assert f"| `WAREHOUSE_START_DATE` | `{settings.start_date}` |" in README
    assert f"| `WAREHOUSE_RANGE_DAYS` | `{settings.range_days}` |" in README
    assert f"| `RAW_RETENTION_DAYS` | `{settings.retention.raw_days}` |" in README
    assert f"| `PII_RETENTION_DAYS` | `{settings.retention.pii_days}` |" in README
