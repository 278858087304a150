"""What people and dashboards read, beside 10,000 and beside a million jobs that have ended."""
import http.client
import time

CHUNK = 100000  # rows inserted at once
TURNS = 100  # requests of each kind
FIRST_BYTE_MAX_MS = 50

PAGES = {
    "list": "/jobs?limit=50",
    "list_failed": "/jobs?status=FAILED,DEAD_LETTER&limit=50",
    "list_type": "/jobs?type=data_processing&limit=50",
    "list_queue": "/jobs?queue=rare&limit=50",
    "list_priority": "/jobs?priority=high&status=FAILED&limit=50",
    "search": "/jobs?q=order-4711&limit=50",
    "summary": "/jobs/metrics/summary",
    "stats": "/stats",
    "history": "/stats/history?window=day",
    "queues": "/queues",
}


def measure(ours):
    few, many = 10000, 100000 if ours.bench.quick else 1000000
    ours.up()
    ours.reset()
    insert_ended(ours, few)
    small = read_all(ours)
    insert_ended(ours, many - few)
    large = read_all(ours)
    ours.bench.result("pages_jobs", many)
    for name in PAGES:
        ours.bench.result(f"pages_{name}", {"few_p50": small[name][0], "p50": large[name][0], "p99": large[name][1]})
    for name in ("list", "list_failed", "list_type", "list_queue", "list_priority", "search", "summary", "stats", "history"):
        ours.bench.check(large[name][0] < FIRST_BYTE_MAX_MS * 1000,
                         f"{name}: first byte in less than {FIRST_BYTE_MAX_MS} ms beside {many:,} jobs: {large[name][0] / 1000:.1f}")
    ours.reset()


def insert_ended(ours, many):
    for first in range(0, many, CHUNK):
        ours.sql("WITH j AS (INSERT INTO jobs (id, name, type, queue, priority, max_retries, attempt, status, created_at, updated_at, "
                 "enqueued_at, started_at, finished_at, payload) SELECT uuid7(), 'order-' || g, "
                 "(ARRAY['noop', 'sleep', 'data_processing', 'noop'])[1 + g % 4], CASE WHEN g % 100 = 1 THEN 'rare' ELSE 'default' END, "
                 "(ARRAY[2, 5, 8, 5])[1 + g % 4], 3, 1, (CASE WHEN g % 100 < 94 THEN 'SUCCESS' WHEN g % 100 < 97 THEN 'FAILED' "
                 "WHEN g % 100 < 99 THEN 'DEAD_LETTER' ELSE 'CANCELLED' END)::job_status, now(), now(), now(), now(), now(), '{}' "
                 f"FROM generate_series({first + 1}, {first + min(CHUNK, many - first)}) g RETURNING type, queue, priority, status) "
                 "INSERT INTO job_counts AS k SELECT 0, queue, type, priority, status, count(*) FROM j GROUP BY 2, 3, 4, 5 "
                 "ON CONFLICT (writer, queue, type, priority, status) DO UPDATE SET n = k.n + excluded.n")
    ours.sql("VACUUM (ANALYZE) jobs")
    ours.sql("CHECKPOINT", role="postgres")


def read_all(ours):
    """name -> (p50, p99) of the time to the first byte, in microseconds."""
    headers = ours.bearer()
    connection = http.client.HTTPConnection("127.0.0.1", ours.port, timeout=60)
    found = {}
    for name, path in PAGES.items():
        times = []
        for _ in range(TURNS):
            start = time.monotonic()
            connection.request("GET", f"/api/v1{path}", headers=headers)
            answer = connection.getresponse()
            times.append((time.monotonic() - start) * 1e6)
            text = answer.read()
            if answer.status != 200:
                raise ValueError(f"GET {path}: {answer.status} {text[:200]}")
        times.sort()
        found[name] = (times[len(times) // 2], times[-2])
    connection.close()
    return found
