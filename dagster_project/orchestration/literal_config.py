"""Run config that takes literal values alone.

Dagster reads the fields of its own ``Config`` classes, and of resources that come with it, as *sources*:
``{"env": "NAME"}`` in their place stands for a variable of the process that runs, whose value may then
be quoted. Everybody who may start a run writes run config, so no field here has such a type. A test
walks the schema of every job.
"""

from __future__ import annotations

from typing import Any, Final

import dagster as dg
from pydantic import BaseModel
from pydantic.fields import FieldInfo

NONE: Final[dict[str, dg.Field]] = {}
"""For whatever takes no config: without a schema Dagster would accept any."""

_TYPES: Final[dict[Any, Any]] = {
    bool: dg.Bool,
    list[str]: [dg.String],
}


def schema_of(model: type[BaseModel]) -> dict[str, dg.Field]:
    """The fields of a model; one of a type that is not known to be literal is a defect."""
    return {name: _field(info) for name, info in model.model_fields.items()}


def _field(info: FieldInfo) -> dg.Field:
    default = info.get_default(call_default_factory=True)
    return dg.Field(_TYPES[info.annotation], default_value=default, description=info.description)


@dg.io_manager(config_schema=NONE, description="No op hands anything on.")
def io_manager(_: dg.InitResourceContext) -> dg.InMemoryIOManager:
    """Instead of Dagster's own, which takes a folder from run config and writes into it."""
    return dg.InMemoryIOManager()  # type: ignore[no-untyped-call]
