"""The scripts of ``docs/examples``, run as a user runs them."""

from __future__ import annotations

import csv
import re
import subprocess
import sys
from datetime import timedelta
from pathlib import Path

from tests.bi.conftest import DAY, Loads, Readers, loads, people, readers, sms  # noqa: F401
from tests.docs.pages import DOCS


def test_delivery_by_template_of_the_last_30_settled_days(
    loads: Loads,  # noqa: F811
    readers: Readers,  # noqa: F811
    tmp_path: Path,
) -> None:
    """Of 32 settled days the last 30; not the day that is not settled."""
    for n in range(33):
        rows = [sms(f"+7916{i:07d}", "Скидка 5%") for i in range(20)]
        rows += [sms(f"+7916{i:07d}", "Скидка 5%", "failed") for i in range(5)]
        loads.sms(DAY + timedelta(days=n), rows, settled=n < 32)
    url = readers.warehouse.public_url("warehouse_bi").replace(
        "warehouse_bi@", f"warehouse_bi:{readers.password('warehouse_bi')}@"
    )
    script = DOCS / "examples" / "delivery_by_template.py"
    subprocess.run([sys.executable, script, url, tmp_path], check=True)
    [row] = csv.DictReader((tmp_path / "delivery_by_template.csv").open(encoding="utf-8"))
    assert row == {
        "template_label": "Скидка #%",
        "attempts": str(30 * 25),
        "delivered": str(30 * 20),
        "delivery_rate": "0.8",
    }
    drawn = (tmp_path / "delivery_by_template.svg").read_text(encoding="utf-8")
    assert re.findall(r'<rect [^>]*width="([^"]+)"', drawn) == ["256.0"]
    assert "80.0% of 750" in drawn
