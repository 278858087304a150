"""The one table of a run, on the terminal and in docs/performance.md."""
import datetime
import os
import platform

from proc import run

BEGIN = "<!-- bench: written by ./taskforge bench, do not edit below -->"
END = "<!-- bench: end -->"


def number(value):
    if value is None:
        return "–"
    if isinstance(value, str):
        return value
    if abs(value) >= 100:
        return f"{value:,.0f}"
    return f"{value:.2f}"


def row(what, value, unit, peer="–", ratio=None, floor=None, aim=None, more_is_better=True, judged="value"):
    """judged: whether floor and aim are about the value or the ratio."""
    if value is None:
        return None
    subject = ratio if judged == "ratio" else value

    def mark(limit):
        if limit is None or subject is None:
            return "–"
        return "yes" if (subject >= limit if more_is_better else subject <= limit) else "no"

    reached = "–" if subject is None or (floor is None and aim is None) else f"floor {mark(floor)}, aim {mark(aim)}"
    limits = ("≥ " if more_is_better else "≤ ")
    return [what, f"{number(value)} {unit}", peer, "–" if ratio is None else f"{ratio:.2f}",
            "–" if floor is None else limits + number(floor), "–" if aim is None else limits + number(aim), reached]


def ms(us):
    return None if us is None else us / 1000


def table(r):
    """r: results by name; a part that did not run leaves its rows out."""
    get = r.get

    def ratio(a, b):
        return get(a) / get(b) if get(a) and get(b) else None

    def named(text, key):
        return f"{text} {number(get(key))}" if get(key) else "–"

    rows = [
        row("bare nginx `return 201`, 64 connections", get("bare_per_second"), "req/s"),
        row("bare nginx `return 201`, 1 connection", get("bare_1_per_second"), "req/s"),
        row("submit with login and rate limit, 64 connections", get("submit_per_second"), "jobs/s", named("bare nginx", "bare_per_second"),
            ratio("submit_per_second", "bare_per_second"), 0.25, 0.5, judged="ratio"),
        row("submit with an API key, 64 connections", get("submit_key_per_second"), "jobs/s",
            named("bare nginx", "bare_per_second"), ratio("submit_key_per_second", "bare_per_second")),
        row("submit without rate limit, 64 connections", get("submit_unlimited_per_second"), "jobs/s",
            named("bare nginx", "bare_per_second"), ratio("submit_unlimited_per_second", "bare_per_second")),
        row("submit without login and rate limit, 64 connections", get("submit_open_per_second"), "jobs/s",
            named("bare nginx", "bare_per_second"), ratio("submit_open_per_second", "bare_per_second")),
        row("submit, 64 connections, against FastAPI + Celery", get("submit_per_second") if get("fastapi_submit_per_second")
            else None, "jobs/s", named("FastAPI", "fastapi_submit_per_second"),
            ratio("submit_per_second", "fastapi_submit_per_second")),
        row("submit, 1 connection", get("submit_1_per_second"), "jobs/s", named("bare nginx", "bare_1_per_second"),
            ratio("submit_1_per_second", "bare_1_per_second")),
        row("submit, 1 connection, p50", ms(get("submit_1_p50_us")), "ms"),
        row("submit, 1 connection, p99", ms(get("submit_1_p99_us")), "ms"),
        row("batch submit, 1,000 a request", get("batch_per_second"), "jobs/s", named("BullMQ addBulk", "bullmq_add_per_second"),
            ratio("batch_per_second", "bullmq_add_per_second"), 80000, 200000),
        row("batch submit against graphile-worker", get("batch_per_second") if get("graphile_add_per_second") else None,
            "jobs/s", named("add_jobs", "graphile_add_per_second"), ratio("batch_per_second", "graphile_add_per_second")),
        row("no-op drain, history kept", get("drain_per_second"), "jobs/s",
            named("graphile-worker (deletes)", "graphile_drain_per_second"),
            ratio("drain_per_second", "graphile_drain_per_second"), 20000, get("graphile_drain_per_second")),
        row("no-op drain against BullMQ (in-process)", get("drain_per_second") if get("bullmq_drain_per_second") else None,
            "jobs/s", named("BullMQ", "bullmq_drain_per_second"), ratio("drain_per_second", "bullmq_drain_per_second")),
        row("no-op drain against Celery", get("drain_per_second") if get("celery_drain_per_second") else None, "jobs/s",
            named("Celery", "celery_drain_per_second"), ratio("drain_per_second", "celery_drain_per_second")),
    ]
    for key, what, floor, aim in (("latency_submit", "submit at 1,000/s, open loop", 2, 0.5),
                                  ("latency_started", "submit → started at 1,000/s", 10, 2),
                                  ("latency_finished", "submit → finished at 1,000/s", None, None)):
        latency = get(key)
        if latency:
            rows.append(row(f"{what}, p50", ms(latency["p50"]), "ms"))
            rows.append(row(f"{what}, p99", ms(latency["p99"]), "ms", floor=floor, aim=aim, more_is_better=False))
            rows.append(row(f"{what}, p99.9", ms(latency["p99.9"]), "ms"))
            rows.append(row(f"{what}, max", ms(latency["max"]), "ms"))
    for key, what in (("list", "the first page of the list"), ("list_deep", "page 1,000 of the list"),
                      ("list_failed", "the first page of failed jobs"), ("list_queue", "of a small queue"), ("search", "search: a rare name"),
                      ("search_none", "search: a name that nobody has"), ("search_all", "search: a name that all have"),
                      ("search_short", "search: one letter that no name has"), ("search_failed", "search among failed jobs"), ("summary", "the summary"), ("stats", "GET /stats"), ("history", "the history of a day")):
        page = get(f"pages_{key}")
        if page:
            rows.append(row(f"{what} beside {number(get('pages_jobs'))} jobs, first byte, p50", ms(page["p50"]), "ms",
                            f"beside 10,000 jobs {number(ms(page['few_p50']))}", page["p50"] / page["few_p50"], 50, more_is_better=False))
    for key, what, floor in (("due_queued", "due at 1,000/s: from its time until it is queued", 100),
                             ("due_started", "due at 1,000/s: from its time until it is started", None)):
        latency = get(key)
        if latency:
            rows.append(row(f"{what}, p50", ms(latency["p50"]), "ms"))
            rows.append(row(f"{what}, p99", ms(latency["p99"]), "ms", floor=floor, more_is_better=False))
            rows.append(row(f"{what}, max", ms(latency["max"]), "ms"))
    rows += [
        row(f"beside {number(get('waiting_jobs'))} waiting jobs: submit, 1 connection, p50", ms(get("waiting_submit_p50_us")), "ms",
            f"without them {number(ms(get('waiting_none_submit_p50_us')))}",
            ratio("waiting_submit_p50_us", "waiting_none_submit_p50_us"), 2.0, more_is_better=False, judged="ratio"),
        row(f"beside {number(get('waiting_jobs'))} waiting jobs: no-op drain", get("waiting_drain_per_second"), "jobs/s",
            named("without them", "waiting_none_drain_per_second"),
            ratio("waiting_drain_per_second", "waiting_none_drain_per_second"), 0.5, judged="ratio"),
        row(f"beside {number(get('waiting_jobs'))} waiting jobs: due at 1,000/s, until it is queued, p50", ms(get("waiting_due_p50_us")), "ms",
            f"without them {number(ms(get('waiting_none_due_p50_us')))}",
            ratio("waiting_due_p50_us", "waiting_none_due_p50_us"), 2.0, more_is_better=False, judged="ratio"),
    ]
    for kind, what in (("api_call", "1,000 HTTP calls of 50 ms"), ("email", "1,000 mails of 50 ms")):
        for pool, size in (("threads", 200), ("prefork", 20)):
            peer = f"network_{kind}_celery_{pool}"
            if get(f"{peer}_per_second"):
                rows.append(row(what, get(f"network_{kind}_per_second"), "jobs/s",
                                named(f"Celery, {size} {pool}", f"{peer}_per_second"),
                                ratio(f"network_{kind}_per_second", f"{peer}_per_second")))
                rows.append(row(f"{what}: memory of the worker's processes at most", get(f"network_{kind}_mb"), "MB PSS",
                                named(f"Celery, {size} {pool}", f"{peer}_mb"), ratio(f"network_{kind}_mb", f"{peer}_mb")))
    for key, what in (("noise_bare", "this machine: bare nginx `return 201` at 1,000/s, open loop"),
                      ("noise_fdatasync", "this machine: fdatasync of 8 KB"),
                      ("noise_insert", "this machine: INSERT and commit of one row at 1,000/s, pgbench")):
        latency = get(key)
        if latency:
            rows.append(row(f"{what}, p50", ms(latency["p50"]), "ms"))
            rows.append(row(f"{what}, p99", ms(latency["p99"]), "ms"))
    if get("get_quiet") and get("get_login"):
        quiet, busy = get("get_quiet")["p99"], get("get_login")["p99"]
        rows.append(row("GET /jobs/{id} at 500/s, open loop, alone, p99", ms(quiet), "ms"))
        rows.append(row("GET /jobs/{id} at 500/s while 50 logins/s hash, p99", ms(busy), "ms", f"alone {number(ms(quiet))}",
                        busy / quiet, 2.0, more_is_better=False, judged="ratio"))
        rows.append(row("logins of 50/s that were hashed", get("logins_per_second"), "logins/s"))
        rows.append(row("logins of 50/s that got 503, as the queue was full", get("logins_refused_per_second"), "logins/s"))
        rows.append(row("such a login, p50", ms(get("login_p50_us")), "ms"))
    rows += [
        row("WebSocket fan-out", get("fanout_per_second"), "deliveries/s", named("raw nchan", "nchan_per_second"),
            ratio("fanout_per_second", "nchan_per_second"), 0.5, 0.8, judged="ratio"),
        row("memory of own processes, idle after start", get("memory_start_mb"), "MB PSS", floor=100, aim=48,
            more_is_better=False),
        row("memory of own processes, idle after the load", get("memory_after_mb"), "MB PSS", floor=100, aim=48,
            more_is_better=False),
        *(row(f"instructions per submit, user space, nginx: {what}", get(key), "",
              named("no login, no limit", "instructions_submit_open") if key != "instructions_submit_open" else "–",
              ratio(key, "instructions_submit_open") if key != "instructions_submit_open" else None)
          for key, what in (("instructions_submit_open", "no login, no limit"), ("instructions_submit_jwt", "token seen before"),
                            ("instructions_submit_jwt_new", "token never seen"), ("instructions_submit_key", "API key"),
                            ("instructions_submit", "token and limit"))),
        row("instructions per drained job, user space, worker and executors", get("instructions_drain"), ""),
        row("BullMQ: addBulk, 1,000 a call", get("bullmq_add_per_second"), "jobs/s"),
        row("BullMQ: drain, in-process, history kept", get("bullmq_drain_per_second"), "jobs/s"),
        row("graphile-worker: add_jobs, 1,000 a call", get("graphile_add_per_second"), "jobs/s"),
        row("graphile-worker: drain, in-process, jobs deleted", get("graphile_drain_per_second"), "jobs/s"),
        row("FastAPI + Celery: submit, 64 connections", get("fastapi_submit_per_second"), "jobs/s"),
        row("FastAPI + Celery: submit, 1 connection", get("fastapi_submit_1_per_second"), "jobs/s"),
        row("Celery: drain, 2 processes, results kept", get("celery_drain_per_second"), "jobs/s"),
    ]
    return [r for r in rows if r]


HEADER = ["what", "value", "compared with", "ratio", "floor", "aim", "reached"]


def text(rows):
    rows = [HEADER] + rows
    widths = [max(len(r[i]) for r in rows) for i in range(len(HEADER))]
    return "\n".join("  ".join(cell.ljust(widths[i]) for i, cell in enumerate(r)).rstrip() for r in rows)


def markdown(rows):
    lines = ["| " + " | ".join(HEADER) + " |", "|" + "---|" * len(HEADER)]
    return "\n".join(lines + ["| " + " | ".join(r) + " |" for r in rows])


def machine():
    with open("/proc/cpuinfo") as f:
        cpu = next((line.split(":", 1)[1].strip() for line in f if line.startswith("model name")), platform.machine())
    with open("/proc/meminfo") as f:
        memory = int(f.readline().split()[1]) // 1048576
    with open("/etc/os-release") as f:
        system = dict(line.rstrip().split("=", 1) for line in f if "=" in line)["PRETTY_NAME"].strip('"')
    return f"{len(os.sched_getaffinity(0))} cores ({cpu}), {memory} GB, {system}, Linux {platform.release().split('-')[0]}"


def versions():
    """Of the Debian packages that were measured."""
    names = ["nginx", "libnginx-mod-nchan", "redis-server", "libpq5", "wrk"]
    listed = run(["dpkg-query", "-W", "-f", "${Package} ${Version} ${db:Status-Abbrev}\n"] + names + ["postgresql-[0-9]*"],
                 20, check=False)
    return dict(line.split()[:2] for line in listed.splitlines() if line.endswith("ii "))


def section(bench, rows):
    when = datetime.datetime.now(datetime.timezone.utc).strftime("%Y-%m-%d %H:%M UTC")
    found = {**versions(), **bench.versions}
    parts = [BEGIN, "", f"Measured {when}: TaskForge {bench.version}, {machine()}.", "",
             f"Load tool, nginx, PostgreSQL, Redis, nchan and workers shared these cores. {bench.settings()}", "", markdown(rows), ""]
    parts += ["Checked in this run:", ""] + [f"- {'ok' if ok else '**FAILED**'}: {text}" for ok, text in bench.checks] + [""]
    parts += [f"- {note}" for note in bench.notes] + [""] if bench.notes else []
    parts += ["Versions: " + ", ".join(f"{name} {version}" for name, version in sorted(found.items())) + ".", "", END]
    return "\n".join(parts)


def rewrite(path, new):
    """Replaces the marked section of the page."""
    with open(path) as f:
        page = f.read()
    if BEGIN not in page or END not in page:
        raise ValueError(f"{path} has lost its marks")
    before, rest = page.split(BEGIN, 1)
    after = rest.split(END, 1)[1]
    with open(path, "w") as f:
        f.write(before + new + after)
