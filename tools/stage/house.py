"""The real binary: its configuration, `apply`, `serve`, and questions over its control socket."""

import http.client
import json
import os
import pathlib
import select
import socket
import subprocess

CONFIG = """\
[server]
hostname = "gate.esp.example"
data_dir = "data"

[dns]
resolvers = ["127.0.0.1:{dns}"]

[send]
mode = "enforce"
hold = "custody"

[[send.listener]]
listen = "127.0.0.1:0"
kind = "submission"
tls = "starttls"

[[send.upstream]]
name = "mta"
url = "smtp://127.0.0.1:{upstream}"
egress = ["192.0.2.0/28"]
"""

ACCOUNT = """\
[[account]]
id = "{id}"
name = "{id}"
{more}
[[account.domain]]
name = "{domain}"
proved = true
[[account.credential]]
login = "{id}"
secret_file = "secret"
"""
SECRET = "a secret of this run only"


class House:
    """A directory with configuration and accounts, in which the server is started, stopped and killed."""

    def __init__(self, binary, root, config, accounts):
        self.binary, self.root, self.process = str(pathlib.Path(binary).resolve()), pathlib.Path(root), None
        self.root.mkdir(parents=True, exist_ok=True)
        (self.root / "secret").write_text(SECRET)
        (self.root / "accounts.toml").write_text(accounts)
        self.configure(config)

    def configure(self, config):
        (self.root / "countersign.toml").write_text(config)

    def run(self, *arguments, timeout=120):
        """Runs a command of the CLI; its standard output. Anything but exit 0 is an error."""
        command = [self.binary, *arguments, "--config", str(self.root / "countersign.toml")]
        done = subprocess.run(command, capture_output=True, text=True, timeout=timeout, check=False)
        if done.returncode != 0:
            raise RuntimeError(f"`countersign {' '.join(arguments)}` ended with {done.returncode}: {done.stderr}")
        return done.stdout

    def apply(self):
        self.run("apply", str(self.root / "accounts.toml"), "--trust-proof")

    def start(self, seconds=30):
        """Starts the server and waits for its ready line; the address of the submission door."""
        command = [self.binary, "serve", "--config", str(self.root / "countersign.toml")]
        with open(self.root / "serve.log", "ab") as log:
            self.process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=log)
        if not select.select([self.process.stdout], [], [], seconds)[0]:
            self.kill()
            raise RuntimeError(f"no ready line in {seconds} s: {self.log()[-2000:]}")
        line = self.process.stdout.readline()
        if not line:
            raise RuntimeError(f"the server did not start: {self.log()[-2000:]}")
        return json.loads(line)["listeners"]["send.0"]

    def log(self):
        return (self.root / "serve.log").read_text(errors="replace")

    def stop(self, seconds=60):
        """SIGTERM; the exit code."""
        self.process.terminate()
        return self.ended(seconds)

    def kill(self):
        """SIGKILL, to the process that was started here."""
        self.process.kill()
        return self.ended(10)

    def ended(self, seconds):
        try:
            return self.process.wait(timeout=seconds)
        except subprocess.TimeoutExpired:
            self.process.kill()
            return self.process.wait()
        finally:
            self.process.stdout.close()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        if self.process is not None and self.process.poll() is None:
            self.kill()


class Control(http.client.HTTPConnection):
    """A lasting connection to the server's control socket."""

    def __init__(self, house):
        super().__init__("localhost", timeout=30)
        self.path = os.path.join(house.root, "data", "control.sock")

    def connect(self):
        self.sock = socket.socket(socket.AF_UNIX)
        self.sock.settimeout(self.timeout)
        self.sock.connect(self.path)

    def ask(self, path):
        """The JSON answer to a GET, or None when it is not 200."""
        self.request("GET", path)
        response = self.getresponse()
        body = response.read()
        return json.loads(body) if response.status == 200 else None

    def reasons(self, reference):
        """The reason codes of a ruling, or None when it is not recorded."""
        entries = (self.ask(f"/v1/rulings/{reference}") or {}).get("entries", [])
        rulings = [entry["payload"]["ruling"] for entry in entries if "ruling" in (entry["payload"] or {})]
        return [reason["code"] for reason in rulings[0]["reasons"]] if rulings else None
