"""The pages that a reader is sent to: the README, what stands at the root, and ``docs/``."""

from __future__ import annotations

import re
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
README = ROOT / "README.md"
DOCS = ROOT / "docs"
LINK = re.compile(r"\]\(([^)\s]+)\)")
FENCE = re.compile(r"^ *```.*?^ *```", re.MULTILINE | re.DOTALL)


def pages() -> list[Path]:
    """Every page, the README first."""
    beside = [ROOT / name for name in ("CONTRIBUTING.md", "CHANGELOG.md")]
    found = [README, *beside, ROOT / "benchmarks" / "README.md", *sorted(DOCS.glob("*.md"))]
    return [page for page in found if page.is_file()]


def links(page: Path) -> list[tuple[Path, str]]:
    """The files that a page links to, each with the place in it (empty: none); no URLs."""
    found = [link for link in LINK.findall(page.read_text()) if not re.match(r"\w+:", link)]
    parts = [link.partition("#") for link in found]
    return [((page.parent / path).resolve() if path else page, place) for path, _, place in parts]


def places(page: Path) -> set[str]:
    """What a link may name after its ``#``: headings as GitHub writes them, and ids."""
    text = page.read_text()
    headings = re.findall(r"^#+ (.*)$", FENCE.sub("", text), re.MULTILINE)
    return {anchor(heading) for heading in headings} | set(re.findall(r'<a id="([^"]+)">', text))


def anchor(heading: str) -> str:
    return re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-")
