"""A Postgres of our own, in a directory of its own and on a free port: started, killed, thrown out, stopped.

The programs are Debian's (`apt-get install postgresql`); for root they run as the user `postgres`.
"""

import os
import pathlib
import pwd
import shutil
import signal
import socket
import subprocess
import tempfile
import time

from stage import process

SETTINGS = ("fsync=off", "full_page_writes=off", "max_connections=200", "shared_buffers=64MB")


def programs():
    """The folder of the newest that is installed, or None."""
    folders = sorted(pathlib.Path("/usr/lib/postgresql").glob("*/bin"), key=lambda path: float(path.parent.name), reverse=True)
    return next((folder for folder in folders if (folder / "initdb").exists()), None)


class Postgres:
    """The server, as a context."""

    def __init__(self):
        self.folder, self.databases, self.server = programs(), 0, None
        if self.folder is None:
            raise RuntimeError("Postgres is not installed (Debian: apt-get install postgresql)")
        self.root = pathlib.Path(tempfile.mkdtemp(prefix="countersign-postgres-"))
        self.user = {}
        if os.geteuid() == 0:
            owner = pwd.getpwnam("postgres")
            os.chown(self.root, owner.pw_uid, owner.pw_gid)
            self.user = {"user": owner.pw_uid, "group": owner.pw_gid, "extra_groups": []}
        self.run("initdb", "-A", "trust", "--no-sync", "-U", "postgres", "-E", "UTF8", "--locale=C", "-D", self.root / "data")
        with socket.create_server(("127.0.0.1", 0)) as free:
            self.port = free.getsockname()[1]

    def run(self, name, *arguments):
        command = [str(self.folder / name), *map(str, arguments)]
        done = subprocess.run(command, capture_output=True, text=True, cwd="/", check=False, **self.user)
        if done.returncode != 0:
            raise RuntimeError(f"{name}: {done.stderr.strip()}")
        return done.stdout

    def start(self, seconds=60):
        """Starts it and waits until it takes connections."""
        settings = [f"port={self.port}", "listen_addresses=127.0.0.1", f"unix_socket_directories={self.root}", *SETTINGS]
        options = [word for setting in settings for word in ("-c", setting)]
        with open(self.root / "log", "ab") as log:
            self.server = subprocess.Popen([str(self.folder / "postgres"), "-D", str(self.root / "data"), *options],
                                           stdout=log, stderr=log, cwd="/", start_new_session=True, **self.user)
        until = time.monotonic() + seconds
        while time.monotonic() < until:
            said = self.pid_file()
            if said[:1] == [str(self.server.pid)] and said[-1].strip() == "ready":
                return
            if self.server.poll() is not None:
                break
            time.sleep(0.02)
        raise RuntimeError(f"Postgres does not start: {(self.root / 'log').read_text(errors='replace')[-1000:]}")

    def pid_file(self):
        try:
            return (self.root / "data" / "postmaster.pid").read_text().splitlines() or [""]
        except OSError:
            return [""]

    def database(self):
        """The address of a new database."""
        self.databases += 1
        name = f"crash_{self.databases}"
        self.run("psql", "-X", "-q", "-h", self.root, "-p", self.port, "-U", "postgres", "-d", "postgres",
                 "-c", f"CREATE DATABASE {name}")
        return f"postgres://postgres@127.0.0.1:{self.port}/{name}"

    def all(self):
        pid = self.server.pid
        children = pathlib.Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
        return [pid, *map(int, children)]

    def signal(self, number):
        for pid in self.all():
            try:
                os.kill(pid, number)
            except ProcessLookupError:
                pass

    def kill(self):
        """SIGKILL to all of its processes; they are gone afterwards."""
        everybody = self.all()
        self.signal(signal.SIGKILL)
        self.server.wait(30)
        until = time.monotonic() + 30
        while any(process.is_there(pid) for pid in everybody[1:]):
            if time.monotonic() > until:
                raise RuntimeError("a process of Postgres does not end")
            time.sleep(0.01)

    def throw_out(self):
        """What `pg_ctl stop -m immediate` does."""
        os.kill(self.server.pid, signal.SIGQUIT)
        self.server.wait(30)

    def __enter__(self):
        self.start()
        return self

    def __exit__(self, *_):
        if self.server is not None and self.server.poll() is None:
            self.signal(signal.SIGCONT)
            self.throw_out()
        shutil.rmtree(self.root, ignore_errors=True)
