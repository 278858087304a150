"""Jobs for later: how late they are queued, and what a million of them cost everybody else."""
import datetime
import time

from proc import BenchError, wait_for

BATCH = 1000
RATE = 1000  # jobs that are due in a second
CHUNK = 100000  # rows inserted at once
COST_MAX = 2.0


def due(ours):
    """1,000 jobs a second become due, all submitted before the first is; the worker runs them meanwhile."""
    ours.up()
    ours.resume()
    wait_for("an idle worker", 60, ours.idle)
    ours.reset()
    late = due_run(ours, ours.bench.seconds)
    for name, latency in late.items():
        ours.bench.result(f"due_{name}", latency)
    ours.recount(RATE * ours.bench.seconds, "due")
    ours.reset()


def due_run(ours, seconds):
    """Microseconds from when a job was due to enqueued_at and to started_at."""
    n = RATE * seconds
    start = time.time() + 2 + n / 2500
    run = str(start)
    headers = ours.bearer()
    done = ours.counted(("SUCCESS",))
    for first in range(0, n, BATCH):
        ours.post("/jobs/batch", {"jobs": [{"type": "noop", "scheduled_at": stamp(start + i / RATE), "metadata": {"run": run}}
                                           for i in range(first, min(first + BATCH, n))]}, headers)
    if time.time() > start:
        raise BenchError("the jobs were due before all of them were submitted")
    wait_for("the last due job", seconds + 120, lambda: ours.counted(("SUCCESS",)) == done + n, 0.25)
    late = {}
    for name, column in (("queued", "enqueued_at"), ("started", "started_at")):
        values = ours.sql("SELECT array_to_string(percentile_disc(ARRAY[0.5, 0.99, 1]) WITHIN GROUP (ORDER BY "
                          f"extract(epoch FROM {column} - scheduled_at) * 1e6), '|') FROM jobs "
                          f"WHERE metadata ->> 'run' = '{run}'").split("|")
        late[name] = dict(zip(("p50", "p99", "max"), map(float, values)))
    return late


def stamp(seconds):
    return datetime.datetime.fromtimestamp(seconds, datetime.timezone.utc).isoformat(timespec="microseconds")


def cost(ours):
    """The same three measurements on an empty table and beside jobs that are due next year."""
    many = 100000 if ours.bench.quick else 1000000
    ours.up()
    ours.reset()
    alone = hot_path(ours, "waiting_none")
    ours.reset()
    insert_waiting(ours, many)
    ours.bench.result("waiting_jobs", many)
    beside = hot_path(ours, "waiting")
    scheduled = ours.counted(("SCHEDULED",))
    ours.bench.check(scheduled == many == ours.number("SELECT count(*) FROM jobs WHERE status = 'SCHEDULED'"),
                     f"waiting: {many:,} jobs waited all the time")
    for name, factor in (("submit", beside["submit"] / alone["submit"]), ("drain", alone["drain"] / beside["drain"]),
                         ("due", beside["due"] / alone["due"])):
        ours.bench.check(factor < COST_MAX, f"beside {many:,} waiting jobs {name} costs less than {COST_MAX:g} times what it "
                                            f"costs alone: {factor:.2f}")
    ours.reset()
    ours.resume()


def hot_path(ours, name):
    """Submit with one connection (p50 in us), drain (jobs/s), and how late 1,000 jobs/s are queued (p50 in us). Of the two
    times, the best of three runs: a neighbour of this machine can double either."""
    ours.pause()
    body, headers = ours.bench.body_file("submit"), ours.bearer()
    submit = min(ours.bench.wrk(ours.port, 1, body, seconds=3, headers=headers)["p50_us"] for _ in range(3))
    ours.settled_rows()
    ours.add_jobs(ours.bench.drain_jobs // 4)
    ours.resume()
    wait_for("the drain", 300, lambda: ours.counted(("QUEUED", "RUNNING", "RETRYING")) == 0, 0.25)
    drain = float(ours.sql("SELECT count(*) / extract(epoch FROM max(finished_at) - min(started_at)) FROM jobs "
                           "WHERE status = 'SUCCESS'"))
    late = min(due_run(ours, 3)["queued"]["p50"] for _ in range(3))
    for key, value in (("submit_p50_us", submit), ("drain_per_second", drain), ("due_p50_us", late)):
        ours.bench.result(f"{name}_{key}", value)
    return {"submit": submit, "drain": drain, "due": late}


def insert_waiting(ours, many):
    for _ in range(0, many, CHUNK):
        ours.sql("WITH j AS (INSERT INTO jobs (id, type, queue, priority, max_retries, status, created_at, updated_at, "
                 "scheduled_at, run_at, payload) SELECT uuid7(), 'noop', 'default', 5, 3, 'SCHEDULED', now(), now(), "
                 "now() + interval '1 year' + g * interval '1 second', now() + interval '1 year' + g * interval '1 second', '{}' "
                 f"FROM generate_series(1, {CHUNK}) g RETURNING 1) "
                 "INSERT INTO job_counts AS k SELECT 0, 'default', 'noop', 5, 'SCHEDULED', count(*) FROM j "
                 "ON CONFLICT (writer, queue, type, priority, status) DO UPDATE SET n = k.n + excluded.n")
    # as if it had happened in the course of a day
    ours.sql("VACUUM (ANALYZE) jobs")
    ours.sql("CHECKPOINT", role="postgres")
