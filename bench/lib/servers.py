"""Private servers that the peers and the baselines need: PostgreSQL and Redis with the files that TaskForge's own stack
uses (conf/), and two plain nginx configurations."""
import glob
import os
import shutil
import signal
import socket

from proc import BenchError, Process, make_dir, run, user, wait_for, write_file

NCHAN_MODULE = "/usr/lib/nginx/modules/ngx_nchan_module.so"


def free_port():
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return s.getsockname()[1]


def accepts(address, family=socket.AF_UNIX):
    try:
        with socket.socket(family) as s:
            s.settimeout(1)
            s.connect(address)
        return True
    except OSError:
        return False


def fill(template, home):
    with open(template) as f:
        text = f.read()
    values = {"HOME": home, "SHARED_BUFFERS": "512MB", "CACHE_SIZE": "2GB", "REDIS_MEMORY": "2gb",
              "USER": user().pw_name}
    for name, value in values.items():
        text = text.replace(f"@{name}@", value)
    return text


def pg_bin(program):
    found = sorted(glob.glob(f"/usr/lib/postgresql/*/bin/{program}"), key=lambda p: int(p.split("/")[4]))
    if not found:
        raise BenchError(f"no PostgreSQL server: {program} is missing (Debian package postgresql)")
    return found[-1]


class Servers:
    def __init__(self, home, conf, build):
        self.home = home
        self.build = build
        self.slice = f"{home}/taskforge-slice"  # what ./taskforge starts PostgreSQL and Redis with
        self.conf = conf
        self.redis_socket = f"{home}/run/redis.sock"

    def directories(self):
        shutil.rmtree(self.home, ignore_errors=True)
        make_dir(self.home)
        for name in ("conf", "run", "log", "pg", "redis"):
            make_dir(f"{self.home}/{name}")
        shutil.copy(f"{self.build}/taskforge-slice", self.slice)

    def postgresql(self):
        """Starts it and returns the URL of an empty database."""
        home, who = self.home, user().pw_name
        os.chmod(f"{home}/pg", 0o700)
        run([pg_bin("initdb"), "-D", f"{home}/pg", "-U", "postgres", "--locale=C.UTF-8", "--encoding=UTF8",
             "--data-checksums", "--auth=peer"], 120, as_user=True, cwd=home)
        for name in ("postgresql.conf", "pg_hba.conf", "pg_ident.conf"):
            write_file(f"{home}/conf/{name}", fill(f"{self.conf}/{name}", home))
        server = Process("postgresql", [self.slice, pg_bin("postgres"), "-D", f"{home}/pg", "-c",
                                        f"config_file={home}/conf/postgresql.conf", "-c",
                                        f"ident_file={home}/conf/pg_ident.conf"],
                         f"{home}/log/postgresql.log", signal.SIGINT, cwd=home)
        psql = ["psql", "-X", "-q", "-v", "ON_ERROR_STOP=1", "-h", f"{home}/run", "-U", "postgres", "-d", "postgres"]
        wait_for("PostgreSQL", 30, lambda: server.alive() and accepts(f"{home}/run/.s.PGSQL.5432"))
        run(psql + ["-c", "CREATE DATABASE bench"], 60, as_user=True, cwd=home)
        print(f"  PostgreSQL runs as {who} with conf/postgresql.conf")
        return f"postgresql://postgres@/bench?host={home}/run"

    def redis(self):
        write_file(f"{self.home}/conf/redis.conf", fill(f"{self.conf}/redis.conf", self.home))
        server = Process("redis", [self.slice, "redis-server", f"{self.home}/conf/redis.conf"], f"{self.home}/log/redis.log",
                         cwd=self.home)
        wait_for("Redis", 30, lambda: server.alive() and accepts(self.redis_socket))
        return self.redis_socket

    def nginx(self, name, main, http, port):
        """A plain nginx. main, http: the lines that make the difference."""
        home = self.home
        temp = "".join(f"  {kind}_temp_path {home}/run/{name}-{kind};\n"
                       for kind in ("client_body", "proxy", "fastcgi", "uwsgi", "scgi"))
        conf = (f"{main}\ndaemon off;\npid {home}/run/{name}.pid;\nerror_log {home}/log/{name}.log warn;\n"
                "worker_rlimit_nofile 65536;\nevents {\n  worker_connections 16384;\n  accept_mutex off;\n}\n"
                f"http {{\n  access_log off;\n  keepalive_requests 1000000000;\n{temp}{http}\n}}\n")
        path = write_file(f"{home}/conf/{name}.conf", conf)
        server = Process(name, [self.slice, "/usr/sbin/nginx", "-e", f"{home}/log/{name}.log", "-c", path],
                         f"{home}/log/{name}.out", cwd=home)
        wait_for(name, 15, lambda: server.alive() and accepts(("127.0.0.1", port), socket.AF_INET))
        return server

    def bare_nginx(self, workers):
        port = free_port()
        return port, self.nginx("bare-nginx", f"worker_processes {workers};",
                                f"  server {{ listen 127.0.0.1:{port} backlog=4096; location / {{ return 201; }} }}", port)

    def raw_nchan(self):
        """One channel, its subscribers on TCP, its publisher on a Unix socket: the fan-out with nothing around it."""
        port = free_port()
        path = f"{self.home}/run/nchan.sock"
        http = (f"  server {{ listen 127.0.0.1:{port} backlog=4096;\n"
                "    location = /ws { nchan_subscriber websocket; nchan_channel_id events;\n"
                "      nchan_subscriber_first_message newest; } }\n"
                f"  server {{ listen unix:{path};\n"
                "    location = /pub { nchan_publisher; nchan_channel_id events;\n"
                "      nchan_message_buffer_length 4096; nchan_message_timeout 1m; } }")
        server = self.nginx("raw-nchan", f"load_module {NCHAN_MODULE};\nworker_processes 1;", http, port)
        wait_for("nchan's socket", 10, lambda: accepts(path))
        return port, path, server
