"""The measurements of TaskForge itself, on a stack that ./taskforge up starts for this run."""
import http.client
import json
import os
import re
import secrets
import shutil
import signal
import subprocess
import time
from statistics import median

import instructions
from proc import BenchError, Process, descendants, last_json, pss_kb, run, wait_for, write_file
from servers import Servers, free_port

QUEUE = "tf:{default}"
OWN_PARTS = ("nginx", "nchan", "worker", "scheduler")
BATCH = 1000
EVENTS_PER_BLOCK = 16  # half of what one entry of tf:events may hold
DRAIN_LIMIT = 300  # seconds
LOGIN_TURNS = 7


class Ours:
    def __init__(self, bench):
        self.bench = bench
        self.home = f"{bench.home}/stack"
        self.port = None
        self.password = secrets.token_hex(16)
        self.conf = None  # nginx.conf as ./taskforge wrote it

    # --- the stack

    def taskforge(self, command, timeout, check=True, **settings):
        env = {k: v for k, v in os.environ.items() if k not in ("DATABASE_URL", "REDIS_URL")}
        env.update(TASKFORGE_HOME=self.home, TASKFORGE_PORT=str(self.port or 3000), TASKFORGE_BUILD=self.bench.build,
                   ADMIN_USERNAME="bench", ADMIN_EMAIL="bench@taskforge.local", ADMIN_PASSWORD=self.password,
                   # every request is counted, and none is refused
                   RATE_LIMIT_REQUESTS="9999999", RATE_LIMIT_WINDOW="60", **settings)
        child = subprocess.Popen([f"{self.bench.root}/taskforge", command], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                                 stderr=subprocess.STDOUT, text=True, env=env, start_new_session=True)
        try:
            out, _ = child.communicate(timeout=timeout)
        except KeyboardInterrupt:
            child.communicate(timeout=120)  # what it starts it must also write down, or down would not find it
            raise
        if check and child.returncode != 0:
            raise BenchError(f"./taskforge {command}: exit {child.returncode}\n{out[-2000:]}")

    def up(self):
        if self.port:
            return
        if os.path.lexists(self.home):
            self.taskforge("down", 150, check=False)
            shutil.rmtree(self.home, ignore_errors=True)
        self.port = free_port()
        try:
            self.taskforge("up", 600)
        except BaseException:
            self.down()
            raise
        wait_for("the first job's end", 30, self.idle)

    def down(self):
        if self.port:
            self.port = None
            self.taskforge("down", 150, check=False)

    def sql(self, text, role="taskforge_owner"):
        """One value, or the columns of one row separated by |."""
        argv = ["psql", "-X", "-A", "-t", "-q", "-v", "ON_ERROR_STOP=1", "-h", f"{self.home}/run", "-U", role, "-d",
                "taskforge", "-c", text]
        return run(argv, 300, as_user=True, cwd="/").strip()

    def number(self, text):
        return int(self.sql(text) or 0)

    def redis(self, *args):
        return run(["redis-cli", "-s", f"{self.home}/run/redis.sock", *args], 60, as_user=True, cwd="/").strip()

    def counted(self, statuses):
        """From the counters, which cost the same at any number of jobs; recounted once a measurement is over."""
        names = ", ".join(f"'{s}'" for s in statuses)
        return self.number(f"SELECT sum(n) FROM job_counts WHERE type = 'noop' AND status IN ({names})")

    def idle(self):
        return self.counted(("SCHEDULED", "QUEUED", "RUNNING", "RETRYING")) == 0

    def pause(self):
        """The worker claims nothing: PostgreSQL holds the decision, Redis the copy that claims look at."""
        self.sql("INSERT INTO queues (name, state) VALUES ('default', 'paused') "
                 "ON CONFLICT (name) DO UPDATE SET state = 'paused', version = queues.version + 1")
        self.redis("SET", f"{QUEUE}:paused", "1")

    def resume(self):
        self.sql("UPDATE queues SET state = 'active', version = version + 1 WHERE name = 'default'")
        self.redis("DEL", f"{QUEUE}:paused")
        self.redis("XADD", f"{QUEUE}:ctl", "MAXLEN", "~", "100", "*", "e", "resume")

    def reset(self):
        """Empty tables and queues, and no checkpoint due, for the next part. Only while nobody holds a job."""
        self.redis("DEL", *(f"{QUEUE}:p{level}" for level in range(11)))
        self.sql("TRUNCATE jobs, job_ranges, job_errors, job_logs, job_counts, job_throughput")
        self.sql("CHECKPOINT", role="postgres")

    def recount(self, expected, name):
        """Each job of the part ended, once: SUCCESS, first attempt, first epoch; and the counters agree."""
        total, good = map(int, self.sql(
            "SELECT count(*), count(*) FILTER (WHERE status = 'SUCCESS' AND attempt = 1 AND epoch = 0 "
            "AND finished_at >= started_at) FROM jobs WHERE type = 'noop'").split("|"))
        counters = self.counted(("SUCCESS",))
        self.bench.check(total == good == counters == expected,
                         f"{name}: each of {expected} jobs is SUCCESS after exactly one attempt, and the counters agree",
                         {"rows": total, "succeeded once": good, "counters": counters})

    def post(self, path, body, headers=None):
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=60)
        connection.request("POST", f"/api/v1{path}", json.dumps(body), {"Content-Type": "application/json", **(headers or {})})
        answer = connection.getresponse()
        text = answer.read()
        connection.close()
        if answer.status not in (200, 201, 202):
            raise BenchError(f"POST {path}: {answer.status} {text[:300]}")
        return json.loads(text)

    def bearer(self):
        """A header with a fresh access token."""
        token = self.post("/auth/login", {"username": "bench", "password": self.password})["access_token"]
        return {"Authorization": f"Bearer {token}"}

    def api_key(self):
        self.sql("DELETE FROM api_keys WHERE name = 'bench'")
        return {"X-API-Key": self.post("/auth/api-keys", {"name": "bench", "scopes": ["manage"]}, self.bearer())["api_key"]}

    @staticmethod
    def without_limit(conf):
        return re.sub(r"taskforge_limit\s[^;]*;", "", conf)

    @staticmethod
    def without_login(conf):
        return Ours.without_limit(conf).replace("taskforge_auth  on;", "taskforge_auth  off;")

    def reconfigure(self, edit):
        """nginx with another configuration until it is called with None."""
        path = f"{self.home}/conf/nginx.conf"
        # written in place: the file keeps its owner
        with open(path) as f:
            self.conf = self.conf or f.read()
        with open(path, "w") as f:
            f.write(edit(self.conf) if edit else self.conf)
        old = descendants([self.pid("nginx")])
        os.kill(self.pid("nginx"), signal.SIGHUP)
        wait_for("nginx's new workers", 30, lambda: len(set(descendants([self.pid("nginx")])) - set(old)) >= os.cpu_count())
        time.sleep(1)

    # --- the parts

    def memory(self):
        self.up()
        time.sleep(5)
        self.bench.result("memory_start_mb", self.own_memory())

    def pid(self, part):
        with open(f"{self.home}/run/{part}.started") as f:
            return int(f.read().split()[0])

    def own_memory(self):
        return sum(pss_kb(pid) for pid in descendants([self.pid(part) for part in OWN_PARTS])) / 1024

    def settled_rows(self):
        """Rows once nothing is under way any more: nginx finishes what clients sent before they left."""
        seen = [-1]

        def same():
            seen.append(self.number("SELECT count(*) FROM jobs"))
            return seen[-1] == seen[-2]

        wait_for("the last commits", 60, same, 0.5)
        return seen[-1]

    def submit(self):
        """With the queue paused, so that submits are measured and not what the worker does with them. Who calls is an access
        token unless said otherwise, and every request is counted by the rate limiter."""
        self.up()
        self.pause()
        token, key = self.bearer(), self.api_key()
        self.submit_once("submit_1", 1, token)
        self.submit_once("submit", 64, token)
        self.submit_once("submit_key", 64, key)
        self.reconfigure(self.without_limit)
        self.submit_once("submit_unlimited", 64, token)
        self.reconfigure(self.without_login)
        self.submit_once("submit_open", 64, {})
        self.reconfigure(None)
        self.reset()

    def submit_once(self, key, connections, headers):
        self.reset()
        out = self.bench.wrk(self.port, connections, self.bench.body_file("submit"), headers=headers)
        rows = self.settled_rows()
        # wrk stops without waiting for the answers under way: one a connection may be committed and not counted.
        self.bench.check(out["accepted"] <= rows <= out["accepted"] + connections,
                         f"{key} with {connections} connections: {out['accepted']} answers 202, {rows} rows "
                         f"({connections} requests may be under way at the end)")
        self.bench.result(f"{key}_per_second", out["per_second"])
        self.bench.result(f"{key}_p50_us", out["p50_us"])
        self.bench.result(f"{key}_p99_us", out["p99_us"])

    def batch(self):
        self.up()
        self.pause()
        self.reset()
        connections = 4
        out = self.bench.wrk(self.port, connections, self.bench.body_file("batch"), "/api/v1/jobs/batch",
                             headers=self.bearer())
        rows = self.settled_rows()
        jobs = out["accepted"] * BATCH
        self.bench.check(jobs <= rows <= jobs + connections * BATCH,
                         f"batch submit: {out['accepted']} answers of {BATCH} jobs, {rows} rows "
                         f"({connections} requests may be under way at the end)")
        self.bench.result("batch_per_second", jobs / out["seconds"])
        self.reset()

    def add_jobs(self, n):
        """Exactly n jobs through POST /jobs/batch; every item must have been accepted."""
        with open(self.bench.body_file("batch")) as f:
            jobs = json.load(f)["jobs"]
        headers = {"Content-Type": "application/json", **self.bearer()}
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=60)
        for first in range(0, n, BATCH):
            body = json.dumps({"jobs": jobs[:min(BATCH, n - first)]})
            connection.request("POST", "/api/v1/jobs/batch", body, headers)
            answer = connection.getresponse()
            text = answer.read()
            if answer.status not in (200, 202, 207) or text.count(b'"id"') < min(BATCH, n - first):
                raise BenchError(f"batch submit: {answer.status} {text[:300]}")
        connection.close()

    def drain(self):
        self.up()
        self.pause()
        self.reset()
        n = self.bench.drain_jobs
        self.add_jobs(n)
        self.bench.check(self.counted(("QUEUED",)) == n, f"drain: {n} jobs wait before the worker may claim")
        self.resume()
        wait_for("the drain", DRAIN_LIMIT, lambda: self.counted(("SUCCESS",)) >= n, 0.25)
        self.recount(n, "drain")
        seconds = float(self.sql("SELECT extract(epoch FROM max(finished_at) - min(started_at)) FROM jobs"))
        self.bench.result("drain_per_second", n / seconds)
        time.sleep(5)
        self.bench.result("memory_after_mb", self.own_memory())
        self.pause()
        self.reset()
        self.resume()

    def latency(self):
        """The worker runs. Submit: as the client sees it. Started, finished: from the moment the request was due (in the
        payload) to started_at and finished_at in PostgreSQL; all clocks are this machine's."""
        self.up()
        self.resume()
        wait_for("an idle worker", 60, self.idle)
        self.submit_openloop(3)  # warm caches and connections
        wait_for("the warm-up's end", 60, self.idle)
        self.reset()
        out = self.submit_openloop(self.bench.latency_seconds)
        self.bench.check(out["ok"] == out["due"], f"latency: {out['due']} requests due, {out['ok']} answered 202", out)
        wait_for("the last job", 60, self.idle)
        self.recount(out["ok"], "latency")
        self.bench.result("latency_submit", out["latency_us"])
        for key, column in (("latency_started", "started_at"), ("latency_finished", "finished_at")):
            values = self.sql(
                "SELECT array_to_string(percentile_disc(ARRAY[0.5, 0.9, 0.99, 0.999, 1]) WITHIN GROUP (ORDER BY "
                f"extract(epoch FROM {column}) * 1e6 - (payload ->> 'sent_us')::numeric), '|') FROM jobs").split("|")
            self.bench.result(key, dict(zip(("p50", "p90", "p99", "p99.9", "max"), map(float, values))))

    def instructions(self):
        self.up()
        instructions.measure(self)

    def submit_openloop(self, seconds):
        return self.bench.openloop(self.port, "/api/v1/jobs", seconds, body=self.bench.body_file("latency"),
                                   headers=self.bearer())

    def login(self):
        """GET /jobs/{id} alone, and while 50 logins a second hash. In turns, each short, and the medians count: what else
        happens on the machine moves a p99 by a third from one minute to the next."""
        self.up()
        # one user from one address: attempts count until the password was right
        self.reconfigure(lambda conf: re.sub(r"(taskforge_accounts\s[^;]*);", r"\1 lockout=100000 lockout_address=100000;", conf))
        self.resume()
        token = self.api_key()  # a user has 50 sessions at most: the logins would end the reader's
        path = f"/api/v1/jobs/{self.post('/jobs', {'type': 'noop'}, token)['id']}"
        wait_for("an idle worker", 60, self.idle)
        body = write_file(f"{self.bench.home}/body-login.json",
                          json.dumps({"username": "bench", "password": self.password}))
        os.chmod(body, 0o600)
        seconds = max(3, self.bench.latency_seconds // LOGIN_TURNS)
        self.bench.openloop(self.port, path, 3, 500, status=200, headers=token)
        quiet, busy, hashed = [], [], []
        for _ in range(LOGIN_TURNS):
            quiet.append(self.bench.openloop(self.port, path, seconds, 500, status=200, headers=token))
            out, logins = self.while_logins_hash(seconds, path, body, token)
            busy.append(out)
            hashed.append(logins)
        os.unlink(body)
        self.reconfigure(None)
        for name, turns in (("alone", quiet), ("while logins hash", busy)):
            due, ok = (sum(turn[key] for turn in turns) for key in ("due", "ok"))
            self.bench.check(ok == due, f"GET {name}: {due} requests due, {ok} answered 200", turns)
        due, ok, refused, broken = (sum(turn[key] for turn in hashed) for key in ("due", "ok", "refused", "broken"))
        self.bench.check(ok and not broken and {turn["first_refused_status"] for turn in hashed} <= {0, 503},
                         f"logins: {due} due, {ok} answered 200, {refused} refused with 503", hashed)
        self.bench.result("get_quiet", {"p99": median(turn["latency_us"]["p99"] for turn in quiet)})
        self.bench.result("get_login", {"p99": median(turn["latency_us"]["p99"] for turn in busy)})
        self.bench.result("login_p50_us", median(turn["latency_us"]["p50"] for turn in hashed))
        self.bench.result("logins_per_second", ok / sum(turn["seconds"] for turn in hashed))
        self.bench.result("logins_refused_per_second", refused / sum(turn["seconds"] for turn in hashed))

    def while_logins_hash(self, seconds, path, body, token):
        """The same reads within a run of 50 logins a second that begins a second earlier and ends a second later."""
        log = f"{self.bench.home}/logins.json"
        write_file(log, "")
        logins = Process("logins", self.bench.openloop_command(self.port, "/api/v1/auth/login", seconds + 2, 50, body, 200), log,
                         as_user=False)
        time.sleep(1)
        out = self.bench.openloop(self.port, path, seconds, 500, status=200, headers=token)
        logins.popen.wait(60)
        logins.stop()
        with open(log) as f:
            return out, last_json(f.read())

    def fanout(self):
        """The same subscribers, events and window twice: straight at an nchan of its own, then at /ws, with the events
        added to tf:events as the daemons add them."""
        event = json.dumps({"seq": "1795342546123-0-3", "event": "job_success", "ts": "2026-11-22T13:00:00.123456Z",
                            "job": {"id": "019a7c1e-5f3b-7c3d-9a4e-1f2a3b4c5d6e", "name": None, "type": "noop",
                                    "queue": "default", "priority": "normal", "status": "SUCCESS", "attempt": 1,
                                    "max_retries": 3, "progress": 100, "error": None, "duration_seconds": 0.000123}},
                           separators=(",", ":"))
        post = f"POST /pub HTTP/1.1\r\nHost: bench\r\nContent-Length: {len(event)}\r\n\r\n{event}"
        servers = Servers(f"{self.bench.home}/nchan", f"{self.bench.root}/conf", self.bench.build)
        servers.directories()
        port, path, server = servers.raw_nchan()
        raw = self.fanout_tool(port, path, post * EVENTS_PER_BLOCK, "raw nchan")
        server.stop()
        self.bench.result("nchan_per_second", raw["per_second"])

        self.up()
        lines = "\n".join([event.replace('"seq":"1795342546123-0-3",', "")] * EVENTS_PER_BLOCK)
        words = ["XADD", "tf:events", "MAXLEN", "~", "8192", "*", "e", lines]
        xadd = f"*{len(words)}\r\n" + "".join(f"${len(w)}\r\n{w}\r\n" for w in words)
        ours = self.fanout_tool(self.port, f"{self.home}/run/redis.sock", xadd, "/ws", self.bearer())
        self.bench.result("fanout_per_second", ours["per_second"])

    def fanout_tool(self, port, path, block, name, headers=None):
        seconds = self.bench.seconds
        argv = [self.bench.tool("fanout"), "-p", str(port), "-u", "/ws", "-s", path, "-b",
                write_file(f"{self.bench.home}/block", block), "-k", str(EVENTS_PER_BLOCK), "-n",
                str(self.bench.subscribers), "-d", str(seconds), "-w", "512"]
        out = last_json(run(argv, seconds + 90, check=False, env=self.bench.header_env(headers)))
        self.bench.check(out["ok"], f"fan-out, {name}: each of {out['subscribers']} subscribers got each of "
                                    f"{out['published']} events once", out)
        return out
