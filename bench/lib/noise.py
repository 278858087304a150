"""What this machine does without TaskForge, so that absolute numbers can be judged: everything here is the floor under
some number of ours."""
import os
import time

from proc import Process, make_dir, run, write_file
from servers import Servers, pg_bin

RATE = 1000
BLOCK = 8192  # a page of PostgreSQL's log
SYNCS = 1000


def measure(bench):
    servers = Servers(f"{bench.home}/noise", f"{bench.root}/conf", bench.build)
    servers.directories()
    bare_nginx(bench, servers)
    bench.result("noise_fdatasync", fdatasync(f"{bench.home}/noise/fdatasync"))
    try:
        single_inserts(bench, servers)
    finally:
        Process.stop_all()


def percentiles(values):
    """p50 and p99; microseconds in, microseconds out."""
    values = sorted(round(v) for v in values)
    return {"p50": values[len(values) // 2], "p99": values[len(values) * 99 // 100], "max": values[-1]}


def bare_nginx(bench, servers):
    port, server = servers.bare_nginx("auto")
    out = bench.openloop(port, "/", bench.seconds, RATE, bench.body_file("submit"), 201)
    server.stop()
    bench.check(out["ok"] == out["due"], f"noise: {out['due']} requests due, {out['ok']} answered 201", out)
    bench.result("noise_bare", out["latency_us"])


def fdatasync(path):
    """Microseconds for one page written over itself and synced, as PostgreSQL does in a segment of its log."""
    times = []
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_TRUNC, 0o600)
    try:
        os.write(descriptor, bytes(BLOCK * SYNCS))
        os.fsync(descriptor)
        for i in range(SYNCS):
            start = time.perf_counter()
            os.pwrite(descriptor, b"x" * BLOCK, i * BLOCK)
            os.fdatasync(descriptor)
            times.append((time.perf_counter() - start) * 1e6)
    finally:
        os.close(descriptor)
        os.unlink(path)
    return percentiles(times)


def single_inserts(bench, servers):
    """pgbench on the stack's settings of PostgreSQL; its latencies count from the moment that a row was due."""
    url = servers.postgresql()
    home = servers.home
    run(["psql", "-X", "-q", "-d", url, "-c", "CREATE TABLE noise (id bigserial PRIMARY KEY, payload text NOT NULL)"], 60,
        as_user=True, cwd=home)
    script = write_file(f"{home}/insert.sql", "INSERT INTO noise (payload) VALUES (repeat('x', 200));\n")
    logs = make_dir(f"{home}/pgbench")
    run([pg_bin("pgbench"), "-n", "-M", "prepared", "-R", str(RATE), "-c", "32", "-j", "2", "-T", str(bench.seconds), "-l",
         f"--log-prefix={logs}/log", "-f", script, url], bench.seconds + 60, as_user=True, cwd=logs)
    times = []
    for name in os.listdir(logs):
        with open(f"{logs}/{name}") as f:
            times += [int(line.split()[2]) for line in f]
    rows = int(run(["psql", "-X", "-A", "-t", "-d", url, "-c", "SELECT count(*) FROM noise"], 60, as_user=True, cwd=home))
    bench.check(rows == len(times) > 0, f"noise: {len(times)} transactions of pgbench, {rows} rows")
    bench.result("noise_insert", percentiles(times))
