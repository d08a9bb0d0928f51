"""Settings from the environment, ``.env`` and files: who wins, and what is refused."""

from __future__ import annotations

from pathlib import Path

import pytest

from dagster_project.config import known_names
from dagster_project.config.environment import read_environment
from dagster_project.config.settings import load_settings
from dagster_project.errors import SettingsError
from dagster_project.vendors.calltouch.feed import SMS
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


def test_a_misspelled_name_is_told_with_its_line_and_the_name_that_was_meant(
    tmp_path: Path,
) -> None:
    dotenv = tmp_path / ".env"
    dotenv.write_text(
        "# alarms\n\nALARM_WEBHOK_URL=https://hooks.example.com/secret-path\n"
        "CALLTOUCH_SITE_IDS=101\nexport CALLTOUCH_ACCES_TOKEN_101=secret-token\nTZ=Europe/Moscow\n"
    )
    settings = load_settings({"CALTOUCH_TIMEZONE": "Europe/Moscow"}, dotenv)
    assert settings.unknown == (
        f"ALARM_WEBHOK_URL ({dotenv}, line 3) is not a setting: did you mean ALARM_WEBHOOK_URL?",
        f"CALLTOUCH_ACCES_TOKEN_101 ({dotenv}, line 5) is not a setting:"
        " did you mean CALLTOUCH_ACCESS_TOKEN_101?",
        "CALTOUCH_TIMEZONE (the environment) is not a setting: did you mean CALLTOUCH_TIMEZONE?",
    )
    with pytest.raises(SettingsError, match="did you mean CALLTOUCH_ACCESS_TOKEN_101") as refusal:
        SMS.section(settings)
    assert "secret" not in str(refusal.value)


def test_who_reads_texts_alone_looks_for_no_misspelled_names(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Logs are configured from one of them, and each name would be held against all others."""
    monkeypatch.delattr(known_names, "get_close_matches")
    assert read_environment({"CALTOUCH_TIMEZONE": "Europe/Moscow"}, dotenv=None)
    with pytest.raises(NameError):
        load_settings({"CALTOUCH_TIMEZONE": "Europe/Moscow"}, dotenv=None)


def test_names_of_ours_without_a_likeness_are_told_too_and_those_of_others_are_not() -> None:
    given = {"TRUST_SOMETHING_ELSE": "1", "DAGSTER_HOME": "/x", "TRUSTSTORE": "/y", "HOME": "/"}
    [sentence] = load_settings(given, dotenv=None).unknown
    assert sentence.startswith("TRUST_SOMETHING_ELSE (the environment) is not a setting")


@pytest.mark.parametrize(
    ("line", "told"),
    [
        ("CALLTOUCH_ACCESS_TOKEN", "line 2 cannot be read as a setting"),
        ("WAREHOUSE_URL='postgresql://", "line 2 cannot be read as a setting"),
        ("this is no setting at all", "line 2 cannot be read as a setting"),
    ],
)
def test_a_line_that_cannot_be_read_is_named_with_the_way_out(
    tmp_path: Path, line: str, told: str
) -> None:
    dotenv = tmp_path / ".env"
    dotenv.write_text(f"TZ=UTC\n{line}\nPII_HASH_KEY=a long enough key of pseudonyms\n")
    with pytest.raises(SettingsError, match=rf"{told}\. Way out: write it as NAME=value"):
        read_environment({}, dotenv)


def test_a_file_that_is_no_text_is_named(tmp_path: Path) -> None:
    dotenv = tmp_path / ".env"
    dotenv.write_bytes(b"TZ=\xff\xfe\n")
    with pytest.raises(SettingsError, match=r"\.env cannot be read \(UnicodeDecodeError\)"):
        read_environment({}, dotenv)


def test_a_wrong_value_is_told_with_its_line(tmp_path: Path) -> None:
    dotenv = tmp_path / ".env"
    dotenv.write_text("TZ=UTC\nRAW_RETENTION_DAYS=soon\n")
    with pytest.raises(
        SettingsError, match=r"RAW_RETENTION_DAYS \(.*\.env, line 2\) is not a whole"
    ):
        load_settings({}, dotenv)
