"""The test over several hosts is ``make fleet``'s alone: it needs root, Redis and minutes."""

import os

collect_ignore = [] if os.environ.get("WAREHOUSE_FLEET") else ["test_two_hosts.py"]
