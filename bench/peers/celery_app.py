"""Celery with Redis as broker and result backend. The task appends its id and the time to CELERY_BENCH_LOG with one
write, which is how the bench knows that every task ran, once."""
import os
import time

from celery import Celery

REDIS = "redis+socket://" + os.environ["CELERY_BENCH_REDIS"]

app = Celery("celery_app", broker=REDIS + "?virtual_host=1", backend=REDIS + "?virtual_host=2")
app.conf.update(
    task_ignore_result=False,  # results are kept, as TaskForge keeps them
    worker_prefetch_multiplier=128,  # the user guide's advice for many short tasks
    worker_send_task_events=False,
    worker_disable_rate_limits=True,
    broker_connection_retry_on_startup=True,
    redis_max_connections=64,
)

_log = None


@app.task(bind=True, name="noop")
def noop(self, payload):
    global _log
    if _log is None:  # after the fork: each child its own descriptor
        _log = os.open(os.environ["CELERY_BENCH_LOG"], os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
    os.write(_log, f"{self.request.id} {time.monotonic_ns()}\n".encode())
