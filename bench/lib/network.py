"""Jobs that wait for the network: HTTP calls and mails to a server that takes its time, beside Celery doing the same."""
import http.client
import json
import os
import socket
import threading
import time

from peers import count_lines
from proc import Process, descendants, pss_kb, wait_for
from servers import accepts, free_port

JOBS = 1000
MILLISECONDS = 50
LIMIT = 300  # seconds
POOLS = (("threads", 200), ("prefork", 20))  # as many threads as TaskForge runs jobs in its I/O executor
KINDS = (("api_call", "call", "requests"), ("email", "mail", "mails"))


class Slow:
    """The server; counts what it has answered."""

    def __init__(self, bench):
        self.http, self.smtp = free_port(), free_port()
        self.process = Process("slow", ["/usr/bin/python3", "-B", f"{bench.root}/bench/lib/slow_server.py", str(self.http),
                                        str(self.smtp), str(MILLISECONDS)], f"{bench.home}/slow.log")
        wait_for("the slow server", 30, lambda: self.process.alive() and
                 all(accepts(("127.0.0.1", port), socket.AF_INET) for port in (self.http, self.smtp)))

    def served(self, what):
        connection = http.client.HTTPConnection("127.0.0.1", self.http, timeout=30)
        connection.request("GET", "/served")
        count = json.loads(connection.getresponse().read())[what]
        connection.close()
        return count


class Memory(threading.Thread):
    """The most that a process and its children took while this ran, in MB of PSS."""

    def __init__(self, pid):
        super().__init__(daemon=True)
        self.pid, self.most_mb, self.over = pid, 0, threading.Event()

    def run(self):
        while not self.over.wait(0.2):
            self.most_mb = max(self.most_mb, sum(pss_kb(pid) for pid in descendants([self.pid])) / 1024)

    def __enter__(self):
        self.start()
        return self

    def __exit__(self, *_):
        self.over.set()
        self.join()


def measure(ours, peers):
    slow = Slow(ours.bench)
    by_taskforge(ours, slow)
    peers.install()
    peers.servers.directories()
    peers.servers.redis()
    for pool, size in POOLS:
        by_celery(peers, slow, pool, size)
    peers.stop()


def by_taskforge(ours, slow):
    payloads = {
        "api_call": {"url": f"http://127.0.0.1:{slow.http}/"},
        "email": {"to": "somebody@example.com", "subject": "A report", "body": "It is ready."},
    }
    ours.up()
    ours.taskforge("up", 600, TASKFORGE_OUTGOING_ALLOW="127.0.0.1", TASKFORGE_SMTP_URL=f"smtp://127.0.0.1:{slow.smtp}",
                   TASKFORGE_SMTP_STARTTLS="off", TASKFORGE_EMAIL_FROM="bench@example.org")
    for kind, _, what in KINDS:
        ours.pause()
        ours.reset()
        before = slow.served(what)
        ours.post("/jobs/batch", {"jobs": [{"type": kind, "payload": payloads[kind]}] * JOBS}, ours.bearer())
        with Memory(ours.pid("worker")) as memory:
            ours.resume()
            wait_for(f"{JOBS} {kind} jobs", LIMIT, lambda: ended(ours) >= JOBS, 0.1)
        good = ours.number("SELECT count(*) FROM jobs WHERE status = 'SUCCESS' AND attempt = 1")
        count = slow.served(what) - before
        ours.bench.check(good == count == JOBS, f"{kind}: each of {JOBS} jobs succeeded in one attempt, {count} {what} came",
                         {"jobs": good, what: count})
        seconds = float(ours.sql("SELECT extract(epoch FROM max(finished_at) - min(started_at)) FROM jobs"))
        ours.bench.result(f"network_{kind}_per_second", JOBS / seconds)
        ours.bench.result(f"network_{kind}_mb", memory.most_mb)
    ours.reset()
    ours.taskforge("up", 600)


def ended(ours):
    return ours.number("SELECT count(*) FROM jobs WHERE status IN ('SUCCESS', 'FAILED', 'DEAD_LETTER')")


def by_celery(peers, slow, pool, size):
    """As Python does it: http.client and smtplib, a connection for each task."""
    for kind, task, what in KINDS:
        log = f"{peers.home}/run/{pool}-{task}.log"
        env = peers.environment(CELERY_BENCH_REDIS=peers.servers.redis_socket, CELERY_BENCH_LOG=log, PYTHONDONTWRITEBYTECODE="1",
                                CELERY_BENCH_HTTP=str(slow.http), CELERY_BENCH_SMTP=str(slow.smtp))
        before = slow.served(what)
        add = Process("add", ["/usr/bin/python3", "-c", f"import celery_app\nfor _ in range({JOBS}): celery_app.{task}.delay()"],
                      f"{peers.home}/log/add.log", cwd=peers.code, env=env)
        add.popen.wait(120)
        add.stop()
        worker = Process("celery", ["/usr/bin/python3", "-m", "celery", "-A", "celery_app", "worker", "-P", pool, "-c", str(size),
                                    "--without-gossip", "--without-mingle", "--without-heartbeat", "-l", "warning"],
                         f"{peers.home}/log/celery.log", cwd=peers.code, env=env)
        with Memory(worker.pid) as memory:
            wait_for(f"Celery's {JOBS} tasks", LIMIT, lambda: worker.alive() and count_lines(log) >= JOBS, 0.1)
        worker.stop()
        with open(log) as f:
            times = [int(line.split()[1]) for line in f]
        count = slow.served(what) - before
        peers.bench.check(len(times) == count == JOBS, f"Celery, {pool}: {JOBS} tasks ran, {count} {what} came",
                          {"tasks": len(times), what: count})
        # from the first one's beginning
        seconds = (max(times) - min(times)) / 1e9 + MILLISECONDS / 1000
        peers.bench.result(f"network_{kind}_celery_{pool}_per_second", JOBS / seconds)
        peers.bench.result(f"network_{kind}_celery_{pool}_mb", memory.most_mb)
