"""What people and dashboards read, beside 10,000 and beside a million jobs that have ended."""
import base64
import http.client
import json
import time

from proc import wait_for

WEEKS = 4  # that the jobs were submitted in, one partition each
TURNS = 100  # requests of each kind
LIMIT = 50
FIRST_BYTE_MAX_MS = 50

PAGES = {
    "list": f"/jobs?limit={LIMIT}",
    "list_deep": f"/jobs?limit={LIMIT}&cursor=",
    "list_failed": f"/jobs?status=FAILED,DEAD_LETTER&limit={LIMIT}",
    "list_type": f"/jobs?type=data_processing&limit={LIMIT}",
    "list_queue": f"/jobs?queue=rare&limit={LIMIT}",
    "list_priority": f"/jobs?priority=high&status=FAILED&limit={LIMIT}",
    "search": f"/jobs?q=order-4711&limit={LIMIT}",
    "search_none": f"/jobs?q=nobody%20has%20it&limit={LIMIT}",
    "search_all": f"/jobs?q=order&limit={LIMIT}",
    "search_short": f"/jobs?q=%23&limit={LIMIT}",
    "search_failed": f"/jobs?q=order-47&status=FAILED&limit={LIMIT}",
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
    start = time.monotonic()
    insert_ended(ours, many)
    ours.bench.note(f"pages: {many:,} jobs were there after {time.monotonic() - start:.0f} s")
    large = read_all(ours)
    ours.bench.result("pages_jobs", many)
    for name in PAGES:
        ours.bench.result(f"pages_{name}", {"few_p50": small[name][0], "p50": large[name][0], "p99": large[name][1],
                                            "requests": large[name][2]})
        ours.bench.check(large[name][0] < FIRST_BYTE_MAX_MS * 1000,
                         f"{name}: first byte in less than {FIRST_BYTE_MAX_MS} ms beside {many:,} jobs: {large[name][0] / 1000:.1f}")
    drop_weeks(ours)
    ours.reset()


def week_table(ago):
    return f"'jobs_' || to_char(date_trunc('week', now() AT TIME ZONE 'UTC') - {ago} * interval '7 days', 'YYYYMMDD')"


def drop_weeks(ours):
    for ago in range(1, WEEKS):
        ours.sql(f"DROP TABLE IF EXISTS {ours.sql('SELECT ' + week_table(ago))}")


def insert_ended(ours, many):
    """Instead of what there is. A week is filled before it becomes a partition: its indexes are then built at once."""
    ours.reset()
    drop_weeks(ours)
    for ago in reversed(range(WEEKS)):
        first, last = many * ago // WEEKS, many * (ago + 1) // WEEKS
        table = ours.sql(f"SELECT {week_table(ago)}") if ago else "jobs"
        if ago:
            ours.sql(f"CREATE TABLE {table} (LIKE jobs INCLUDING DEFAULTS)")
        ours.sql(  # from the end of the week, or from a minute ago, backwards, a few milliseconds apart
            f"INSERT INTO {table} (id, name, type, queue, priority, max_retries, attempt, status, created_at, updated_at, "
            "enqueued_at, started_at, finished_at, payload) SELECT overlay(uuid_floor(t)::text PLACING lpad(to_hex(g), 12, '0') "
            "FROM 25)::uuid, 'order-' || g, (ARRAY['noop', 'sleep', 'data_processing', 'noop'])[1 + g % 4], "
            "CASE WHEN g % 100 = 1 THEN 'rare' ELSE 'default' END, (ARRAY[2, 5, 8, 5])[1 + g % 4], 3, 1, "
            "(CASE WHEN g % 100 < 94 THEN 'SUCCESS' WHEN g % 100 < 97 THEN 'FAILED' WHEN g % 100 < 99 THEN 'DEAD_LETTER' "
            "ELSE 'CANCELLED' END)::job_status, t, t, t, t, t, '{}' "
            f"FROM generate_series({first + 1}, {last}) AS s(g), LATERAL (SELECT least(now() - interval '1 minute', "
            f"(date_trunc('week', now() AT TIME ZONE 'UTC') - {ago - 1} * interval '7 days') AT TIME ZONE 'UTC') "
            f"- (g - {first}) * interval '1 millisecond' AS t) x")
        if ago:
            ours.sql(f"DO $$ DECLARE monday timestamptz := (date_trunc('week', now() AT TIME ZONE 'UTC') - {ago} * interval '7 days') "
                     f"AT TIME ZONE 'UTC'; BEGIN EXECUTE format('ALTER TABLE jobs ATTACH PARTITION {table} FOR VALUES FROM (%L) "
                     "TO (%L)', uuid_floor(monday), uuid_floor(monday + interval '7 days')); END $$")
    ours.sql("INSERT INTO job_counts SELECT 0, queue, type, priority, status, count(*) FROM jobs GROUP BY 2, 3, 4, 5 "
             "ON CONFLICT (writer, queue, type, priority, status) DO UPDATE SET n = excluded.n")
    wrong = ours.sql("SELECT count(*) FROM check_counts()")
    ours.bench.check(wrong == "0", f"pages: the counters equal a recount of {many:,} jobs", wrong)
    ours.sql("TRUNCATE job_ranges")  # made meanwhile
    ours.sql("VACUUM (ANALYZE) jobs")
    wait_for("the ranges", 300, lambda: ours.number("SELECT coalesce(sum(jobs), 0) FROM job_ranges") > many - 2000, 1)
    ours.sql("VACUUM (ANALYZE) job_ranges")
    ours.sql("CHECKPOINT", role="postgres")


def deep_cursor(ours):
    """Of page 1,000, or of the last but one."""
    row = ours.sql(f"SELECT id FROM jobs ORDER BY id DESC OFFSET least({LIMIT} * 999, (SELECT count(*) FROM jobs) - {LIMIT}) - 1 LIMIT 1")
    return base64.urlsafe_b64encode(b"\x01" + bytes.fromhex(row.replace("-", ""))).decode().rstrip("=")


def read_all(ours):
    """name -> (p50, p99) of the time to the first byte, in microseconds, and how many requests bring the first page."""
    headers = ours.bearer()
    connection = http.client.HTTPConnection("127.0.0.1", ours.port, timeout=60)
    found = {}
    for name, path in PAGES.items():
        if path.endswith("cursor="):
            path += deep_cursor(ours)
        times, rounds, items, cursor = [], 0, 0, ""
        while len(times) < TURNS or items:
            start = time.monotonic()
            connection.request("GET", f"/api/v1{path}{cursor}", headers=headers)
            answer = connection.getresponse()
            times.append((time.monotonic() - start) * 1e6)
            text = answer.read()
            if answer.status != 200:
                raise ValueError(f"GET {path}: {answer.status} {text[:200]}")
            page = json.loads(text)
            items += len(page["items"]) if "items" in page else LIMIT
            if items >= LIMIT or not page.get("next_cursor"):
                rounds, items, cursor = rounds + 1, 0, ""
            else:
                cursor = f"&cursor={page['next_cursor']}"
        times.sort()
        found[name] = (times[len(times) // 2], times[-2], len(times) / rounds)
    connection.close()
    return found
