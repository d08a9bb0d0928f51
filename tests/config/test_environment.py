"""Settings from the environment, ``.env`` and files: who wins, and what is refused."""

from __future__ import annotations

from pathlib import Path

import pytest

from dagster_project.config.environment import read_environment
from dagster_project.config.settings import load_settings
from dagster_project.errors import SettingsError
from dagster_project.vendors.calltouch.settings import CalltouchSettings


def written(folder: Path, name: str, text: str) -> str:
    path = folder / name
    path.write_text(text)
    return str(path)


def test_a_secret_is_read_from_the_file_that_its_setting_names(tmp_path: Path) -> None:
    settings = load_settings(
        {
            "WAREHOUSE_URL_FILE": written(tmp_path, "url", "postgresql://u:p@h/d\n"),
            "PII_HASH_KEY_FILE": written(tmp_path, "key", "a long enough key of pseudonyms\n"),
            "CALLTOUCH_SITE_IDS": "101",
            "CALLTOUCH_ACCESS_TOKEN_101_FILE": written(tmp_path, "token", " of 101 \n"),
        },
        dotenv=None,
    )
    assert settings.warehouse_url is not None
    assert settings.warehouse_url.get_secret_value() == "postgresql://u:p@h/d"
    section = settings.section(CalltouchSettings)
    assert section is not None
    assert section.sites[0].token.get_secret_value() == "of 101"


def test_a_setting_given_twice_is_refused(tmp_path: Path) -> None:
    given = {"PII_HASH_KEY": "one", "PII_HASH_KEY_FILE": written(tmp_path, "key", "other")}
    with pytest.raises(SettingsError, match="both set"):
        read_environment(given, dotenv=None)


def test_an_unreadable_file_is_named_by_its_setting_and_not_taken_for_empty(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match="TELLODY_PASSWORD_FILE"):
        read_environment({"TELLODY_PASSWORD_FILE": str(tmp_path / "absent")}, dotenv=None)


def test_an_empty_setting_of_the_environment_hides_a_file_named_in_dotenv(tmp_path: Path) -> None:
    """The demo points away from the real warehouse this way."""
    dotenv = tmp_path / ".env"
    dotenv.write_text(f"WAREHOUSE_URL_FILE={written(tmp_path, 'url', 'postgresql://real')}\n")
    assert read_environment({}, dotenv)["WAREHOUSE_URL"] == "postgresql://real"
    assert read_environment({"WAREHOUSE_URL": ""}, dotenv)["WAREHOUSE_URL"] == ""


def test_files_of_other_programs_are_left_alone(tmp_path: Path) -> None:
    given = {"SSL_CERT_FILE": str(tmp_path / "absent"), "WAREHOUSE_CLOCK_FILE": "/absent"}
    assert read_environment(given, dotenv=None) == given
