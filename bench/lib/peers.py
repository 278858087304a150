"""Other job queues on the same machine, in the same run, with the same PostgreSQL and Redis files: BullMQ,
graphile-worker, and Celery with FastAPI in front. Each checks that all its jobs ended, once each."""
import filecmp
import os
import shutil
import socket
import time

from proc import Process, last_json, make_dir, need, run, wait_for
from servers import Servers, accepts, free_port

BULLMQ_CONCURRENCY = 500
DRAIN_LIMIT = 300  # seconds


class Peers:
    def __init__(self, bench):
        self.bench = bench
        self.home = f"{bench.home}/peers"
        self.code = f"{bench.home}/peers-code"
        self.servers = Servers(self.home, f"{bench.root}/conf", bench.build)

    def install(self):
        """npm packages, outside the tree, at exactly the versions of package-lock.json."""
        need("node", "npm")
        source = f"{self.bench.root}/bench/peers"
        make_dir(self.code, owned=False)
        lock, installed = f"{source}/package-lock.json", f"{self.code}/installed-lock.json"
        fresh = os.path.exists(installed) and filecmp.cmp(lock, installed, shallow=False)
        if not fresh:
            shutil.rmtree(f"{self.code}/node_modules", ignore_errors=True)
        for name in os.listdir(source):
            if name != "node_modules":
                shutil.copy(f"{source}/{name}", self.code)
        if not fresh:
            print("  npm install (BullMQ, graphile-worker)", flush=True)
            # Not npm ci: the lock file leaves out the optional packages of other operating systems.
            run(["npm", "install", "--ignore-scripts", "--no-audit", "--no-fund"], 300, cwd=self.code)
            shutil.copy(lock, installed)

    def start(self, *servers):
        self.stop()
        self.servers.directories()
        return [getattr(self.servers, name)() for name in servers]

    def stop(self):
        Process.stop_all()

    def environment(self, **more):
        return {"PATH": os.environ["PATH"] + ":/usr/sbin", "HOME": self.home, "LANG": "C.UTF-8", "NODE_ENV": "production",
                **more}

    def node(self, script, *args):
        limit = DRAIN_LIMIT + 120
        return last_json(run(["node", f"{self.code}/{script}", *map(str, args)], limit, as_user=True, cwd=self.home,
                             env=self.environment()))

    def bullmq(self):
        self.install()
        self.start("redis")
        result = self.node("bullmq.mjs", self.servers.redis_socket, self.bench.drain_jobs, BULLMQ_CONCURRENCY,
                           DRAIN_LIMIT)
        self.record("bullmq", "BullMQ", result)

    def graphile(self):
        self.install()
        url, = self.start("postgresql")
        result = self.node("graphile.mjs", url, self.bench.drain_jobs, DRAIN_LIMIT)
        self.record("graphile", "graphile-worker", result)

    def record(self, key, name, result):
        self.bench.check(result["exactlyOnce"], f"{name}: each of {result['jobs']} jobs ran exactly once", result)
        self.bench.result(f"{key}_add_per_second", result["addPerSecond"])
        self.bench.result(f"{key}_drain_per_second", result["drainPerSecond"])
        self.stop()

    def celery(self):
        """Submits through FastAPI with wrk, then drains what was accepted with two prefork children."""
        need("wrk")
        run(["/usr/bin/python3", "-c", "import celery, fastapi, redis, uvicorn"], 30)
        self.install()
        self.start("redis")
        log = f"{self.home}/run/celery.log"
        env = self.environment(CELERY_BENCH_REDIS=self.servers.redis_socket, CELERY_BENCH_LOG=log,
                               PYTHONDONTWRITEBYTECODE="1")
        accepted = self.fastapi_submit(env)
        waiting = int(self.redis_cli(1, "LLEN", "celery"))
        self.bench.check(accepted <= waiting <= accepted + 65,
                         f"Celery: {accepted} submits accepted, {waiting} tasks in Redis (65 requests may be under way at the end)")
        worker = Process("celery", ["/usr/bin/python3", "-m", "celery", "-A", "celery_app", "worker", "-P", "prefork", "-c",
                                    "2", "--without-gossip", "--without-mingle", "--without-heartbeat", "-l", "warning"],
                         f"{self.home}/log/celery.log", cwd=self.code, env=env)
        wait_for("Celery's drain", DRAIN_LIMIT, lambda: worker.alive() and count_lines(log) >= waiting, 0.25)
        wait_for("Celery's results", 30, lambda: int(self.redis_cli(2, "DBSIZE")) >= waiting, 0.1)
        worker.stop()
        with open(log) as f:
            ran = [line.split() for line in f]
        times = [int(at) for _, at in ran]
        results = int(self.redis_cli(2, "DBSIZE"))
        self.bench.check(len(ran) == len({id for id, _ in ran}) == waiting == results,
                         f"Celery: each of {waiting} tasks ran exactly once and left its result",
                         {"ran": len(ran), "results": results})
        self.bench.result("celery_drain_per_second", waiting / ((max(times) - min(times)) / 1e9))
        self.bench.result("celery_jobs", waiting)
        self.stop()

    def fastapi_submit(self, env):
        port = free_port()
        web = Process("uvicorn", ["/usr/bin/python3", "-m", "uvicorn", "fastapi_app:app", "--host", "127.0.0.1", "--port",
                                  str(port), "--workers", "2", "--log-level", "warning", "--no-access-log"],
                      f"{self.home}/log/uvicorn.log", cwd=self.code, env=env)
        wait_for("uvicorn", 30, lambda: web.alive() and accepts(("127.0.0.1", port), socket.AF_INET), 0.1)
        time.sleep(2)  # its second process
        one = self.bench.wrk(port, 1, self.bench.body_file("submit"))
        many = self.bench.wrk(port, 64, self.bench.body_file("submit"))
        web.stop()
        self.bench.result("fastapi_submit_per_second", many["per_second"])
        self.bench.result("fastapi_submit_1_per_second", one["per_second"])
        return one["accepted"] + many["accepted"]

    def redis_cli(self, db, *args):
        return run(["redis-cli", "-s", self.servers.redis_socket, "-n", str(db), *args], 30)

    def versions(self):
        """name -> version, of what is installed; the lock file knows the npm packages."""
        found = {"Node.js": run(["node", "--version"], 10).strip()}
        for package in ("bullmq", "graphile-worker"):
            found[package] = run(["node", "-p", f"require('{self.code}/node_modules/{package}/package.json').version"],
                                 10).strip()
        found["celery"] = run(["/usr/bin/python3", "-c", "import celery; print(celery.__version__)"], 10).strip()
        found["fastapi"] = run(["/usr/bin/python3", "-c", "import fastapi; print(fastapi.__version__)"], 20).strip()
        return found


def count_lines(path):
    try:
        with open(path, "rb") as f:
            return sum(block.count(b"\n") for block in iter(lambda: f.read(1 << 20), b""))
    except FileNotFoundError:
        return 0
