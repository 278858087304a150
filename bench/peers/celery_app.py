"""Celery with Redis as broker and result backend. The task appends its id and the time to CELERY_BENCH_LOG with one
write, which is how the bench knows that every task ran, once."""
import http.client
import os
import smtplib
import time
from email.message import EmailMessage

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


def note(task):
    global _log
    if _log is None:  # after the fork: each child its own descriptor
        _log = os.open(os.environ["CELERY_BENCH_LOG"], os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
    os.write(_log, f"{task.request.id} {time.monotonic_ns()}\n".encode())


@app.task(bind=True, name="noop")
def noop(self, payload):
    note(self)


@app.task(bind=True, name="call")
def call(self):
    connection = http.client.HTTPConnection("127.0.0.1", int(os.environ["CELERY_BENCH_HTTP"]), timeout=60)
    connection.request("GET", "/")
    answer = connection.getresponse()
    text = answer.read().decode()
    connection.close()
    if answer.status != 200:
        raise RuntimeError(f"HTTP {answer.status}")
    note(self)
    return text


@app.task(bind=True, name="mail")
def mail(self):
    message = EmailMessage()
    message["From"], message["To"], message["Subject"] = "bench@example.org", "somebody@example.com", "A report"
    message.set_content("It is ready.")
    with smtplib.SMTP("127.0.0.1", int(os.environ["CELERY_BENCH_SMTP"]), timeout=60) as smtp:
        smtp.send_message(message)
    note(self)
