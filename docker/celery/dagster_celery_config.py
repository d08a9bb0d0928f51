"""What a worker of the fleet is told; dagster-celery looks for this module by its name.

A message is acknowledged when its run begins, and none is fetched ahead of a free process: what a
lost host takes along is the runs that it was doing, which Dagster starts anew, and no message.
"""

import os

broker_url = os.environ["WAREHOUSE_BROKER_URL"]
result_backend = os.environ["WAREHOUSE_RESULTS_URL"]
database_engine_options = {"pool_pre_ping": True}
broker_connection_retry_on_startup = True
broker_connection_max_retries = None
worker_prefetch_multiplier = 1
worker_disable_prefetch = True
worker_max_tasks_per_child = 50
worker_send_task_events = False
task_acks_late = False
