"""Delivery by template over the last 30 settled days: a table as CSV, and a picture as SVG.

    python docs/examples/delivery_by_template.py postgresql://warehouse_bi:PASSWORD@HOST:PORT/warehouse FOLDER

Needs pandas and psycopg, which the warehouse's own environment has.
"""

from __future__ import annotations

import html
import sys
from pathlib import Path

import pandas as pd
import psycopg

QUERY = """
SELECT d.template_label, sum(d.messages) AS attempts,
    coalesce(sum(d.messages) FILTER (WHERE d.outcome = 'delivered'), 0) AS delivered
FROM bi.sms_day d
WHERE d.day IN (
    SELECT m.day FROM bi.messaging_day m WHERE m.vendor = 'calltouch'
    GROUP BY m.day HAVING bool_and(m.settled) ORDER BY m.day DESC LIMIT 30)
GROUP BY d.template_label
"""
BAR, GAP, LABEL, WIDTH = 22, 6, 420, 320


def delivery(url: str) -> pd.DataFrame:
    """One row a template, the most frequent first. Days count that are settled at every site."""
    with psycopg.connect(url) as connection:
        cursor = connection.execute(QUERY)
        names = [column.name for column in cursor.description or ()]
        table = pd.DataFrame(cursor.fetchall(), columns=names)
    table["delivery_rate"] = table["delivered"] / table["attempts"].where(table["attempts"] > 0)
    return table.sort_values(["attempts", "template_label"], ascending=[False, True])


def picture(table: pd.DataFrame) -> str:
    """A bar a template, as SVG."""
    parts = []
    for place, row in enumerate(table.itertuples(index=False)):
        rate, y = float(row.delivery_rate), place * (BAR + GAP)
        label = html.escape(str(row.template_label).replace("\n", " ")[:60])
        parts.append(
            f'<text x="{LABEL - 8}" y="{y + 16}" text-anchor="end">{label}</text>'
            f'<rect x="{LABEL}" y="{y}" width="{rate * WIDTH:.1f}" height="{BAR}" fill="#2a78b5"/>'
            f'<text x="{LABEL + WIDTH + 8}" y="{y + 16}">{rate:.1%} of {int(row.attempts):,}</text>'
        )
    height = len(table) * (BAR + GAP)
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{LABEL + WIDTH + 160}" height="{height}"'
        f' font-family="sans-serif" font-size="13">{"".join(parts)}</svg>\n'
    )


def main(url: str, folder: str) -> None:
    table = delivery(url)
    Path(folder).mkdir(parents=True, exist_ok=True)
    table.to_csv(Path(folder, "delivery_by_template.csv"), index=False)
    Path(folder, "delivery_by_template.svg").write_text(picture(table), encoding="utf-8")
    print(table.to_string(index=False))


if __name__ == "__main__":
    main(*sys.argv[1:])
