"""Processes of a bench run: started as an unprivileged user, bounded in time, stopped by pid whatever happens."""
import json
import os
import pwd
import shutil
import signal
import subprocess
import time


class BenchError(Exception):
    """Something the run cannot go on without; the text is for people."""


def user():
    """Who the servers run as: nobody else's processes and never root, which PostgreSQL refuses."""
    if os.geteuid() != 0:
        return pwd.getpwuid(os.geteuid())
    for name in ("taskforge", "postgres"):
        try:
            return pwd.getpwnam(name)
        except KeyError:
            pass
    raise BenchError("no user to run servers as: install Debian's postgresql package or call ./taskforge up once")


def privileges():
    """setpriv: drops root, and lets the kernel end the process should this program be killed."""
    args = ["setpriv", "--pdeathsig", "INT"]
    if os.geteuid() == 0:
        who = user()
        args += [f"--reuid={who.pw_uid}", f"--regid={who.pw_gid}", "--clear-groups"]
    return args + ["--"]


def need(*programs):
    path = os.environ["PATH"] + ":/usr/sbin:/usr/local/sbin"
    missing = [p for p in programs if not shutil.which(p, path=path)]
    if missing:
        raise BenchError(f"missing programs: {' '.join(missing)}; conf/packages names their Debian packages")


def run(argv, timeout, check=True, as_user=False, **options):
    """Runs a command to its end and returns its standard output. timeout in seconds."""
    if as_user:
        argv = privileges() + argv
    done = subprocess.run(argv, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, timeout=timeout, **options)
    if check and done.returncode != 0:
        raise BenchError(f"{' '.join(argv)[:200]}: exit {done.returncode}\n{(done.stderr or done.stdout)[-2000:]}")
    return done.stdout


def last_json(output):
    """The JSON object in the last line that is one; load tools print other things above it."""
    for line in reversed(output.splitlines()):
        if line.startswith("{"):
            return json.loads(line)
    raise BenchError(f"no result in: {output[-500:]}")


def wait_for(what, seconds, condition, pause=0.05):
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        value = condition()
        if value:
            return value
        time.sleep(pause)
    raise BenchError(f"{what}: not within {seconds} s")


class Process:
    """One server of this run. stop_signal: how it ends in order."""

    running = []

    def __init__(self, name, argv, log, stop_signal=signal.SIGTERM, as_user=True, **options):
        self.name = name
        self.log = log
        self.stop_signal = stop_signal
        with open(log, "ab") as out:
            # Its own session: Ctrl-C reaches this program only, which then stops the servers in order.
            self.popen = subprocess.Popen((privileges() if as_user else []) + argv, stdin=subprocess.DEVNULL, stdout=out,
                                          stderr=out, start_new_session=True, **options)
        Process.running.append(self)

    @property
    def pid(self):
        return self.popen.pid

    def alive(self):
        if self.popen.poll() is not None:
            with open(self.log, errors="replace") as f:
                raise BenchError(f"{self.name} ended with {self.popen.returncode}: {f.read()[-1500:]}")
        return True

    def stop(self, seconds=30):
        if self in Process.running:
            Process.running.remove(self)
        if self.popen.poll() is not None:
            return
        self.popen.send_signal(self.stop_signal)
        try:
            self.popen.wait(seconds)
        except subprocess.TimeoutExpired:
            os.killpg(self.popen.pid, signal.SIGKILL)  # the session this run made for it: the process and its children
            self.popen.wait(10)

    @classmethod
    def stop_all(cls):
        for process in reversed(list(cls.running)):
            process.stop()


def make_dir(path, owned=True):
    os.makedirs(path, exist_ok=True)
    if owned and os.geteuid() == 0:
        who = user()
        os.chown(path, who.pw_uid, who.pw_gid)
    return path


def write_file(path, text):
    with open(path, "w") as f:
        f.write(text)
    if os.geteuid() == 0:
        who = user()
        os.chown(path, who.pw_uid, who.pw_gid)
    return path


def descendants(pids):
    """The pids and everything they started, from /proc."""
    parents = {}
    for entry in os.listdir("/proc"):
        if entry.isdigit():
            try:
                with open(f"/proc/{entry}/stat") as f:
                    parents[int(entry)] = int(f.read().rsplit(")", 1)[1].split()[1])
            except (FileNotFoundError, ProcessLookupError):
                pass
    found = set(pids)
    while True:
        more = {pid for pid, parent in parents.items() if parent in found} - found
        if not more:
            return sorted(found)
        found |= more


def pss_kb(pid):
    """Proportional set size: shared pages are divided among those that share them."""
    with open(f"/proc/{pid}/smaps_rollup") as f:
        for line in f:
            if line.startswith("Pss:"):
                return int(line.split()[1])
    raise BenchError(f"no Pss for {pid}")
