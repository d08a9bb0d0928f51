"""Run config takes literal values alone: nothing in it names a variable of the environment."""

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import dagster as dg
import pytest
from dagster._config import ConfigType
from dagster._config.config_type import ConfigTypeKind
from dagster._config.source import BoolSource, IntSource, StringSource
from pydantic import BaseModel

from dagster_project.config.settings import Settings, load_settings
from dagster_project.orchestration import literal_config
from dagster_project.orchestration.assets import RefreshConfig
from dagster_project.orchestration.build import definitions_of

SOURCES = {type_.key for type_ in (StringSource, IntSource, BoolSource)}
CREDENTIALS = {
    "CALLTOUCH_SITE_IDS": "101,102",
    "CALLTOUCH_ACCESS_TOKEN": "token-of-calltouch",
    "TELLODY_USERNAME": "user-of-tellody",
    "TELLODY_PASSWORD": "pass-of-tellody",
    "TRUST_CLIENT_ID": "id-of-trust",
    "TRUST_CLIENT_SECRET": "secret-of-trust",
    "TRUST_COMPANY_IDS": "7",
}


@pytest.fixture(scope="module")
def settings() -> Settings:
    return load_settings(CREDENTIALS, dotenv=None)


@pytest.fixture(scope="module")
def repository(settings: Settings) -> dg.RepositoryDefinition:
    return definitions_of(settings).get_repository_def()


def types_in(type_: ConfigType, path: str = "") -> Iterator[tuple[str, ConfigType]]:
    """The type and all within it, each with the way to it."""
    yield path, type_
    for name, field in getattr(type_, "fields", {}).items():
        yield from types_in(field.config_type, f"{path}.{name}")
    for part in ("inner_type", "scalar_type", "non_scalar_type", "key_type"):
        if (inner := getattr(type_, part, None)) is not None:
            yield from types_in(inner, path)


def not_literal(type_: ConfigType) -> list[str]:
    """Places where ``{"env": …}`` is taken: by Dagster's own types, under that name, or as anything."""
    found = []
    for path, inner in types_in(type_):
        open_to_all = inner.kind == ConfigTypeKind.ANY or path.endswith(".env")
        if inner.key in SOURCES or open_to_all:
            found.append(path)
    return found


class Offered(dg.Config):
    names: list[str]
    count: int
    flag: bool = True


def test_the_search_finds_what_dagster_offers() -> None:
    @dg.op
    def narrowed(config: Offered) -> None: ...

    @dg.op
    def open_to_anything() -> None: ...

    @dg.job
    def job() -> None:
        narrowed()
        open_to_anything()

    found = {path.split(".config", 1)[0] for path in not_literal(job.run_config_schema.config_type)}
    assert found == {".ops.narrowed", ".ops.open_to_anything", ".resources.io_manager"}


def test_no_job_takes_more_than_literal_values(repository: dg.RepositoryDefinition) -> None:
    """Ops, resources, executor and loggers of each job, of the one behind "materialize" too."""
    jobs = repository.get_all_jobs()
    assert {job.name for job in jobs} >= {"__ASSET_JOB", "refresh_calltouch", "retention"}
    found = {job.name: not_literal(job.run_config_schema.config_type) for job in jobs}
    assert found == {job.name: [] for job in jobs}


def test_neither_does_any_definition_by_itself(
    settings: Settings, repository: dg.RepositoryDefinition
) -> None:
    definitions = definitions_of(settings)
    schemas: dict[str, Any] = {}
    for job in repository.get_all_jobs():
        schemas |= {f"{job.name} op {op.name}": op.config_schema for op in job.all_node_defs}
        schemas |= {f"resource {n}": r.config_schema for n, r in job.resource_defs.items()}
        schemas |= {f"logger {name}": log.config_schema for name, log in job.loggers.items()}
        schemas[f"executor {job.executor_def.name}"] = job.executor_def.config_schema
    for name, resource in (definitions.resources or {}).items():
        schemas[f"resource {name}"] = resource.config_schema
    assert len(schemas) > 10
    found = {name: not_literal(schema.config_type) for name, schema in schemas.items() if schema}
    assert found == {name: [] for name in found}


PLACES: Sequence[dict[str, Any]] = (
    {"ops": {"load_calltouch": {"config": {"accounts": [{"env": "PII_HASH_KEY"}]}}}},
    {"ops": {"load_calltouch": {"config": {"accounts": {"env": "PII_HASH_KEY"}}}}},
    *(
        {"ops": {"load_calltouch": {"config": {name: {"env": "PII_HASH_KEY"}}}}}
        for name in sorted(RefreshConfig.model_fields)
    ),
    {"resources": {"io_manager": {"config": {"base_dir": {"env": "PII_HASH_KEY"}}}}},
    {"loggers": {"console": {"config": {"name": {"env": "PII_HASH_KEY"}}}}},
    {"execution": {"config": {"marker_to_close": {"env": "PII_HASH_KEY"}}}},
)


@pytest.mark.parametrize("config", PLACES, ids=str)
def test_what_names_the_environment_is_no_run_config(
    repository: dg.RepositoryDefinition, config: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PII_HASH_KEY", "the key of the pseudonyms")
    for name in ("refresh_calltouch", "__ASSET_JOB"):
        with pytest.raises(dg.DagsterInvalidConfigError) as failure:
            dg.validate_run_config(repository.get_job(name), config)
        assert "the key of the pseudonyms" not in str(failure.value)


def test_a_field_of_a_type_that_is_not_known_to_be_literal_is_a_defect() -> None:
    class Model(BaseModel):
        where: Path

    with pytest.raises(KeyError):
        literal_config.schema_of(Model)


def test_what_a_run_may_be_given_is_what_it_was() -> None:
    fields = literal_config.schema_of(RefreshConfig)
    assert fields.keys() == RefreshConfig.model_fields.keys()
    assert not any(field.is_required for field in fields.values())
    assert fields["accounts"].default_value == []
