"""Everything that touches Postgres: connection, migrations, stored responses, loads, receipts, budgets."""
