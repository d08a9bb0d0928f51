"""Acts by hand are noted with who did them, and with nothing of whom they were about."""

from __future__ import annotations

import os
import pwd
import re
import socket
from datetime import date
from pathlib import Path

import psycopg
import pytest

from dagster_project.warehouse.ledger.manual_acts import os_user
from tests.support.erasing import DIGITS, command, forget
from tests.support.operating import House

NUMBER = "+7 920 123-45-67"


def test_each_act_is_noted_with_login_user_host_and_verb(
    house: House, days: list[date], tmp_path: Path
) -> None:
    (tmp_path / "labels.csv").write_text("vendor,account,label\ncalltouch,40202,Мой сайт\n")
    command("forget", "--export", str(tmp_path / "list"))
    forget(NUMBER)
    command("forget", "--again")
    command("forget", "--import", str(tmp_path / "list"))
    command("subject", str(tmp_path / "held.json"), given=NUMBER)
    command("labels", str(tmp_path / "labels.csv"))
    assert house.refresh(days, accept_shrink=True, accept_rejects=True), house.failure()
    command("rekey")
    acts = house.rows(
        "SELECT verb, about, run_id, login, os_user, host FROM ops.manual_act ORDER BY 1"
    )
    assert sorted(act[0] for act in acts) == [
        "accept-rejects",
        "accept-shrink",
        "forget",
        "forget --again",
        "forget --export",
        "forget --import",
        "labels",
        "rekey",
        "subject",
    ]
    login = house.warehouse.admin.user
    assert {act[3:] for act in acts} == {(login, os_user(), socket.gethostname())}
    about = {verb: (text, run_id is not None) for verb, text, run_id, *_ in acts}
    span = f"calltouch, every account, {days[0]} to {days[-1]}"
    assert about["accept-shrink"] == about["accept-rejects"] == (span, True)
    assert about["labels"] == ("1 label changed", False)
    assert house.rows(
        "SELECT a.verb FROM ops.erasure e JOIN ops.manual_act a USING (act_id) ORDER BY erasure_id"
    ) == [("forget",), ("forget --again",), ("forget --import",)]
    told = "".join(str(row) for row in house.rows("SELECT a::text FROM ops.manual_act a"))
    assert DIGITS not in re.sub("[^0-9]", "", told)
    with (
        house.warehouse.connect(what="test") as connection,
        pytest.raises(psycopg.errors.InsufficientPrivilege),
    ):
        connection.execute("UPDATE ops.manual_act SET os_user = 'somebody else'")


def test_who_became_the_user_by_sudo_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    name = pwd.getpwuid(os.getuid()).pw_name
    monkeypatch.delenv("SUDO_USER", raising=False)
    assert os_user() == name
    monkeypatch.setenv("SUDO_USER", "ivan")
    assert os_user() == f"{name} (sudo by ivan)"
    monkeypatch.setattr(os, "getuid", lambda: 2_000_000_001)
    monkeypatch.delenv("SUDO_USER")
    assert os_user() == "2000000001"
