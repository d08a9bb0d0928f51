"""Tables in Markdown, for Dagster's UI and for documents."""

from __future__ import annotations

from collections.abc import Iterable, Sequence


def markdown_table(
    header: Sequence[object], rows: Iterable[Sequence[object]], *, left: int | None = None
) -> str:
    """A table; its first ``left`` columns are aligned to the left, the others to the right."""
    aligned_left = len(header) if left is None else left
    rule = ["---" if at < aligned_left else "---:" for at in range(len(header))]
    return "\n".join(_row(cells) for cells in (header, rule, *rows))


def _row(cells: Iterable[object]) -> str:
    texts = (str(cell).replace("|", "\\|").replace("\n", " ") for cell in cells)
    return f"| {' | '.join(texts)} |"
