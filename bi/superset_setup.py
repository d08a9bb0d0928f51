"""Make Superset's metadata ready: schema, administrator, the warehouse, the dashboard, descriptions.

Runs in Superset's own environment, started by ``start.py``, which writes one JSON object to standard
input: ``uri`` of the warehouse as the BI role, ``options`` of its sessions, ``password`` for a first administrator,
``files`` of the dashboard (``bundle.py``), ``metrics`` of the views of ``bi``. Safe to run again; a dashboard edited in Superset is overwritten only when its files
have changed since.
"""

import hashlib
import json
import sys
from pathlib import Path

import yaml
from flask import g
from flask_migrate import upgrade
from superset.app import create_app

ADMINISTRATOR = "admin"

# Every view of bi, with what its comments say.
DESCRIPTIONS = """
SELECT c.relname, obj_description(c.oid), a.attname, col_description(c.oid, a.attnum)
FROM pg_class c
JOIN pg_namespace n ON n.oid = c.relnamespace AND n.nspname = 'bi'
JOIN pg_attribute a ON a.attrelid = c.oid AND a.attnum > 0
WHERE c.relkind = 'v' AND has_table_privilege(c.oid, 'SELECT')
ORDER BY 1, a.attnum
"""


def main() -> None:
    wish = json.load(sys.stdin)
    app = create_app()
    with app.app_context():
        upgrade(directory=str(Path(sys.modules["superset"].__file__).parent / "migrations"))
        made = make_administrator(wish["password"])
        files = wish["files"]
        database = register_warehouse(files, wish["uri"], wish["options"])
        imported = import_assets(files, Path(app.config["DATA_DIR"]) / "imported")
        if imported:
            database = register_warehouse(files, wish["uri"], wish["options"])
        described = describe(database, wish["metrics"])
    print(json.dumps({"made_administrator": made, "imported": imported, "datasets": described}))


def make_administrator(password: str) -> bool:
    """Roles as Superset wants them, and a first administrator where there is no user yet."""
    from superset.extensions import appbuilder, security_manager

    appbuilder.add_permissions(update_perms=True)
    security_manager.sync_role_definitions()
    if security_manager.find_user(ADMINISTRATOR) is not None:
        return False
    role = security_manager.find_role("Admin")
    if not security_manager.add_user(
        ADMINISTRATOR, "Warehouse", "Administrator", "admin@localhost", role, password=password
    ):
        raise SystemExit("Superset did not take the administrator")
    return True


def register_warehouse(files: dict[str, str], uri: str, options: str):
    """The database that the files speak of, with where and as whom to reach it today."""
    from superset import db
    from superset.models.core import Database

    wanted = yaml.safe_load(files["databases/warehouse.yaml"])
    database = db.session.query(Database).filter_by(uuid=wanted["uuid"]).one_or_none()
    if database is None:
        database = Database(uuid=wanted["uuid"], database_name=wanted["database_name"])
        db.session.add(database)
    database.set_sqlalchemy_uri(uri)
    for name in ("expose_in_sqllab", "allow_ctas", "allow_cvas", "allow_dml", "allow_file_upload"):
        setattr(database, name, wanted[name])
    database.allow_run_async = False
    database.impersonate_user = False
    database.extra = json.dumps(
        {
            "allows_virtual_table_explore": True,
            "engine_params": {
                "connect_args": {
                    "application_name": "superset",
                    "client_encoding": "utf8",
                    "options": options,
                }
            },
        }
    )
    db.session.commit()
    return database


def import_assets(files: dict[str, str], mark: Path) -> bool:
    """Import the files unless these very files were imported before.

    As assets, not as a dashboard: that import would leave charts and datasets as they were.
    """
    from superset import security_manager
    from superset.commands.importers.v1.assets import ImportAssetsCommand

    digest = hashlib.sha256(json.dumps(files, sort_keys=True).encode()).hexdigest()
    if mark.exists() and mark.read_text() == digest:
        return False
    g.user = security_manager.find_user(ADMINISTRATOR)
    ImportAssetsCommand(files).run()
    mark.write_text(digest)
    return True


def describe(database, metrics: dict[str, dict[str, list[str]]]) -> int:
    """A dataset for each view of bi, described as the warehouse's comments do, with its metrics."""
    from sqlalchemy import text
    from superset import db
    from superset.connectors.sqla.models import SqlaTable

    with database.get_sqla_engine() as engine, engine.connect() as connection:
        rows = connection.execute(text(DESCRIPTIONS)).fetchall()
    views = {view: meaning for view, meaning, _, _ in rows}
    columns = {(view, column): says for view, _, column, says in rows}
    for view, meaning in views.items():
        name = {"database_id": database.id, "schema": "bi", "table_name": view}
        dataset = db.session.query(SqlaTable).filter_by(**name).one_or_none()
        if dataset is None:
            dataset = SqlaTable(database=database, schema="bi", table_name=view)
            db.session.add(dataset)
            db.session.flush()
        if {column.column_name for column in dataset.columns} != {
            column for of_view, column in columns if of_view == view
        }:
            dataset.fetch_metadata()
        dataset.description = meaning
        save_metrics(dataset, metrics.get(view, {}))
    db.session.flush()
    for dataset in db.session.query(SqlaTable).filter_by(database_id=database.id, schema="bi"):
        for column in dataset.columns:
            key = (dataset.table_name, column.column_name)
            column.description = columns.get(key, column.description)
    db.session.commit()
    return len(views)


def save_metrics(dataset, metrics: dict[str, list[str]]) -> None:
    """Those of the view whose columns it has; a metric that a user made keeps its name."""
    from superset.connectors.sqla.models import SqlMetric

    columns = {column.column_name for column in dataset.columns}
    standing = {metric.metric_name for metric in dataset.metrics}
    for name, (expression, number_format, meaning, *needs) in metrics.items():
        if name not in standing and columns.issuperset(needs):
            dataset.metrics.append(
                SqlMetric(
                    metric_name=name,
                    verbose_name=name.replace("_", " "),
                    expression=expression,
                    d3format=number_format,
                    description=meaning,
                )
            )


if __name__ == "__main__":
    main()
