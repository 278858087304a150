"""Instructions in user space per submit and per drained job: counted by the processor (perf) where the machine has such
counters, else by callgrind, which runs the same programs on a processor of its own over fewer jobs."""
import base64
import glob
import hmac
import json
import os
import re
import shutil
import signal
import time
import uuid

from proc import BenchError, Process, descendants, make_dir, run, wait_for, write_file
from servers import accepts, free_port

CALLGRIND_JOBS = 2000
TOKENS = 60000  # as many different ones as perf's three seconds may take


def steps(ours):
    """What is added to a submit, one after the other: (result, how nginx.conf differs, who calls)."""
    return [
        ("instructions_submit_open", ours.without_login, dict),
        ("instructions_submit_jwt", ours.without_limit, ours.bearer),
        ("instructions_submit_jwt_new", ours.without_limit, lambda: new_tokens(ours)),
        ("instructions_submit_key", ours.without_limit, ours.api_key),
        ("instructions_submit", None, ours.bearer),
    ]


def encoded(data):
    return base64.urlsafe_b64encode(data).rstrip(b"=")


def new_tokens(ours):
    """A file of headers with tokens that nginx has not seen: a real one's claims with other ids, signed with the stack's key."""
    header, claims = ours.bearer()["Authorization"].split()[1].encode().split(b".")[:2]
    claims = json.loads(base64.urlsafe_b64decode(claims + b"=="))
    with open(f"{ours.home}/conf/jwt.key", "rb") as f:
        key = f.read().rstrip(b"\n")
    lines = []
    for _ in range(TOKENS):
        claims["jti"] = str(uuid.uuid4())
        signed = header + b"." + encoded(json.dumps(claims, separators=(",", ":")).encode())
        lines.append(b"Authorization: Bearer " + signed + b"." + encoded(hmac.digest(key, signed, "sha256")) + b"\n")
    path = write_file(f"{ours.bench.home}/tokens", b"".join(lines).decode())
    os.chmod(path, 0o600)
    return path


def measure(ours):
    if perf_counts():
        by_perf(ours)
    elif shutil.which("valgrind"):
        by_callgrind(ours)
    else:
        ours.bench.note("instructions: not available here (no hardware counters for perf, no valgrind)")


def perf_counts():
    if not shutil.which("perf"):
        return False
    out = run(["perf", "stat", "-x,", "-e", "instructions:u", "-o", "/dev/stdout", "true"], 20, check=False)
    return any(line.split(",")[0].isdigit() for line in out.splitlines())


def by_perf(ours):
    ours.pause()
    n = ours.bench.drain_jobs
    for key, edit, caller in steps(ours):
        ours.reset()
        ours.reconfigure(edit)
        who = caller()
        out, count = perf(ours, "nginx", lambda who=who: ours.bench.wrk(ours.port, 64, ours.bench.body_file("submit"), seconds=3,
                                                                        headers=who))
        ours.bench.result(key, count / out["accepted"])
    ours.reset()
    ours.add_jobs(n)

    def drain():
        ours.resume()
        wait_for("the drain", 300, lambda: ours.counted(("SUCCESS",)) >= n, 0.25)

    _, count = perf(ours, "worker", drain)
    ours.recount(n, "instructions (perf), drain")
    ours.bench.result("instructions_drain", count / n)
    ours.bench.note("instructions: hardware counters (perf stat), user space")


def perf(ours, part, work):
    """What work returns, and the instructions that the part's processes spent on it."""
    log = f"{ours.bench.home}/perf.csv"
    pids = ",".join(map(str, descendants([ours.pid(part)])))
    counter = Process("perf", ["perf", "stat", "-x,", "-e", "instructions:u", "-o", log, "-p", pids],
                      f"{ours.bench.home}/perf.log", signal.SIGINT, as_user=False)
    time.sleep(0.5)
    result = work()
    counter.stop()
    with open(log) as f:
        counts = [line.split(",")[0] for line in f if "instructions" in line]
    if not counts or not counts[0].isdigit():
        raise BenchError(f"perf counted nothing: {counts}")
    return result, int(counts[0])


def by_callgrind(ours):
    home = make_dir(f"{ours.bench.home}/callgrind")
    for old in glob.glob(f"{home}/*"):
        os.unlink(old)
    ours.pause()
    for step in steps(ours):
        ours.reset()
        submit_under_callgrind(ours, home, *step)
    drain_under_callgrind(ours, home)
    ours.bench.note(f"instructions: callgrind over {CALLGRIND_JOBS:,} jobs (this machine has no counters for perf), so "
                    "batches are smaller than under full load")


def callgrind(home, name, argv, **options):
    """Starts a program under callgrind, counting nothing yet; run time of start-up must not be part of the number."""
    valgrind = ["valgrind", "--tool=callgrind", "--instr-atstart=no", "--trace-children=yes", f"--vgdb-prefix={home}/vgdb",
                f"--callgrind-out-file={home}/{name}.%p"]
    return Process(name, valgrind + argv, f"{home}/{name}.log", cwd=home, **options)


def monitor(process, home, *command):
    for pid in descendants([process.pid]):
        run(["vgdb", f"--vgdb-prefix={home}/vgdb", f"--pid={pid}", *command], 30, as_user=True, cwd=home)


def total(process, home):
    """What the process and its children counted. Written on demand: an executor may be killed before it could."""
    name = process.name
    monitor(process, home, "instrumentation", "off")
    monitor(process, home, "dump")
    process.stop(60)
    counts = []
    for path in glob.glob(f"{home}/{name}.[0-9]*"):
        with open(path, errors="replace") as f:
            counts += [int(n) for n in re.findall(r"^totals: (\d+)$", f.read(), re.M)]
    if not sum(counts):
        raise BenchError(f"callgrind wrote no count for {name}")
    return sum(counts)


def submit_under_callgrind(ours, home, key, edit, caller):
    """A second nginx with the stack's configuration, one process, on a port of its own."""
    port = free_port()
    with open(f"{ours.home}/conf/nginx.conf") as f:
        conf = f.read()
    if edit:
        conf = edit(conf)
    conf = re.sub(r"(listen\s+\S+?):\d+", rf"\1:{port}", conf)
    conf = re.sub(r"worker_processes\s+\S+;", "worker_processes 1; master_process off; daemon off;", conf)
    conf = re.sub(r"^(pid\s+).*$", rf"\1{home}/nginx.pid;", conf, flags=re.M)
    path = write_file(f"{home}/nginx.conf", conf)
    server = callgrind(home, key, ["/usr/sbin/nginx", "-e", f"{home}/nginx-error.log", "-p", ours.home, "-c", path])
    wait_for("nginx under callgrind", 60, lambda: server.alive() and accepts(("127.0.0.1", port), 2))
    ours.bench.wrk(port, 16, ours.bench.body_file("submit"), seconds=1, headers=caller())  # connections to PostgreSQL and Redis
    before = ours.settled_rows()
    monitor(server, home, "instrumentation", "on")
    for _ in range(20):
        ours.bench.wrk(port, 64, ours.bench.body_file("submit"), seconds=1, headers=caller())
        jobs = ours.settled_rows() - before
        if jobs >= CALLGRIND_JOBS:
            break
    ours.bench.result(key, total(server, home) / jobs)


def drain_under_callgrind(ours, home):
    """The stack's worker leaves, and one under callgrind takes its place until the jobs are done."""
    ours.reset()
    ours.add_jobs(CALLGRIND_JOBS)
    os.kill(ours.pid("worker"), signal.SIGTERM)
    wait_for("the worker's end", 60, lambda: not os.path.exists(f"/proc/{ours.pid('worker')}"))
    worker = callgrind(home, "worker", [f"{ours.home}/bin/taskforge-worker", "-c", f"{ours.home}/conf/taskforge.env"])
    wait_for("the worker under callgrind", 120, lambda: worker.alive() and ours.number(
        "SELECT count(*) FROM workers WHERE status = 'online' AND heartbeat_at > now() - interval '5 s'"))
    time.sleep(5)
    monitor(worker, home, "instrumentation", "on")
    ours.resume()
    wait_for("the drain under callgrind", 300, lambda: ours.counted(("SUCCESS",)) >= CALLGRIND_JOBS, 0.25)
    ours.bench.result("instructions_drain", total(worker, home) / CALLGRIND_JOBS)
    ours.recount(CALLGRIND_JOBS, "instructions (callgrind), drain")
    ours.down()  # it has no worker any more
