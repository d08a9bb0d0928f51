"""What is held about one number goes to a new private file, all of it, and nothing of anybody else."""

from __future__ import annotations

import json
import os
import re
from datetime import date, datetime
from pathlib import Path
from typing import Any

import pytest
from click.testing import Result

from dagster_project.errors import SettingsError
from dagster_project.pipeline import personal_data, services
from dagster_project.privacy.pseudonym_key import pii_hash_key
from dagster_project.privacy.reduction import reduce_old
from tests.privacy.test_old_seal import sealed
from tests.support.erasing import DIGITS, command, forget
from tests.support.operating import KEY, House

NUMBER = "+7 920 123-45-67"
OTHERS = r"\b7921[0-9]{7}\b"
"""All other numbers of these days begin so."""


def asked(file: Path, *lines: str) -> Result:
    return command("subject", str(file), given="\n".join(lines))


def held(file: Path) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(file.read_text())
    return found


def test_all_that_is_held_is_written_and_nothing_of_others(
    house: House, days: list[date], tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    umask = os.umask(0)
    try:
        done = asked(tmp_path / "held.json", "8 (920) 123-45-67")
    finally:
        os.umask(umask)
    assert done.return_value == 0
    file = tmp_path / "held.json"
    assert file.stat().st_mode & 0o777 == 0o600
    answer = held(file)
    assert answer["number"] == f"+7{DIGITS}"
    assert datetime.fromisoformat(answer["collected_at"]).tzinfo is not None
    rows = answer["rows"]
    assert len(rows) == 5 * len(days)
    assert {row["sent_on"] for row in rows} == {day.isoformat() for day in days}
    assert {row["recipient"] for row in rows} == set(answer["pseudonyms"])
    assert "Код 4411" in {row["message"] for row in rows}
    assert datetime.fromisoformat(rows[0]["sent_at"]).tzinfo is not None
    records = [one for response in answer["stored_responses"] for one in response["records"]]
    assert len(records) == 6 * len(days), "five SMS, and one that could not be read"
    assert answer["stored_responses"][0]["asked_at"]
    assert [reject["record"]["phoneNumber"] for reject in answer["rejected_records"]] == [
        int(f"7{DIGITS}")
    ] * len(days)
    assert answer["named_in_records_of_others"] == {
        "rows": 4 * len(days),
        "stored_responses": 5 * len(days),
        "rejected_records": 1,
    }
    assert answer["erasure"]["kept_out_since"] is None
    assert not re.search(OTHERS, file.read_text())
    told = f"{done.stdout}{done.stderr}{caplog.text}"
    assert DIGITS not in re.sub("[^0-9]", "", told)
    acts = house.rows("SELECT verb, about, os_user, host <> '', login <> '' FROM ops.manual_act")
    assert [(verb, about) for verb, about, *_ in acts] == [("subject", None)]
    assert acts[0][2:] != (None, False, False)


def test_a_file_that_is_there_is_never_overwritten_and_a_failure_leaves_none(
    house: House, days: list[date], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "mine").write_text("mine")
    (tmp_path / "link").symlink_to(tmp_path / "elsewhere")
    for name in ("mine", "link"):
        with pytest.raises(SettingsError, match="never overwritten"):
            asked(tmp_path / name, NUMBER)
    assert (tmp_path / "mine").read_text() == "mine"
    assert not (tmp_path / "elsewhere").exists()
    with pytest.raises(SettingsError, match="cannot be written"):
        asked(tmp_path / "no folder" / "held.json", NUMBER)
    with house.warehouse.connect_admin() as connection:
        connection.execute("UPDATE ops.pii_key SET next_fingerprint = 'another'")
    with pytest.raises(SettingsError, match="being recomputed"):
        asked(tmp_path / "held.json", NUMBER)
    assert not (tmp_path / "held.json").exists()


@pytest.mark.parametrize(
    ("lines", "said"),
    [
        (("79209380003, 79209380004",), "line 1 is not a telephone number"),
        (("", "8 920 123-45-67 доб. 12"), "line 2 is not a telephone number"),
        ((NUMBER, NUMBER), "more than one line"),
        (("",), "holds no number"),
    ],
)
def test_anything_but_one_number_is_refused(
    tmp_path: Path, lines: tuple[str, ...], said: str
) -> None:
    with pytest.raises(SettingsError, match=said):
        asked(tmp_path / "held.json", *lines)
    assert list(tmp_path.iterdir()) == []


def test_a_list_that_an_earlier_version_sealed_is_read_where_nothing_may_be_written(
    house: House, days: list[date], tmp_path: Path
) -> None:
    with house.warehouse.connect_admin() as connection:
        connection.execute("UPDATE ops.privacy SET sealed_key = %s", (sealed(KEY),))
    assert asked(tmp_path / "held.json", NUMBER).return_value == 0
    assert held(tmp_path / "held.json")["erasure"]["kept_out_since"] is None


def test_reduced_rows_are_found_by_the_pseudonym_and_after_an_erasure_there_is_nothing(
    house: House, days: list[date], tmp_path: Path
) -> None:
    key = pii_hash_key(house.settings)
    reduce_old(services.warehouse(), key, personal_data.scopes(house.settings, key), -1)
    asked(tmp_path / "reduced.json", NUMBER)
    rows = held(tmp_path / "reduced.json")["rows"]
    assert len(rows) == 5 * len(days)
    assert {row["phone"] for row in rows} == {"(reduced)"}
    forget(NUMBER)
    asked(tmp_path / "erased.json", NUMBER)
    after = held(tmp_path / "erased.json")
    assert (after["rows"], after["stored_responses"], after["rejected_records"]) == ([], [], [])
    assert after["erasure"]["kept_out_since"]
    assert after["erasure"]["finished_at"]
    assert set(after["named_in_records_of_others"].values()) == {0}
