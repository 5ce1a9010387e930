"""The real binary: its configuration, `apply`, `serve`, and questions over its control socket."""

import base64
import http.client
import json
import os
import pathlib
import resource
import select
import signal
import socket
import subprocess
import time

from stage import process

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
# Mail of this domain is kept by a policy of the operator's own.
KEPT = "kept.example"
KEEP = f'''forbid(principal, action == Action::"send", resource) when {{ context.author_domain == "{KEPT}" }};\n'''


def configuration(dns, upstream, pool=32, limits=None, upstreams=None, more=""):
    """For load: passwords in the clear on loopback, `KEEP` as policy, limits as they are given."""
    plain = CONFIG.replace('tls = "starttls"', 'tls = "starttls"\nplaintext = "loopback"')
    lines = "".join(f"{key} = {value}\n" for key, value in (limits or {}).items())
    text = plain.format(dns=dns, upstream=upstream) + f"pool = {pool}\n"
    for name, port in (upstreams or {}).items():
        text += f'[[send.upstream]]\nname = "{name}"\nurl = "smtp://127.0.0.1:{port}"\negress = ["192.0.2.0/28"]\n'
    return text + f'[policy]\ndir = "policies"\n[limits]\n{lines}{more}'


def zone(*domains):
    """Records for domains whose mail passes."""
    passes = [{"MX": [10, "mx.esp.example"]}, {"SPF": "v=spf1 ip4:192.0.2.0/28 -all"}]
    return {name: list(passes) for name in domains}


def account(identity, *domains, more=""):
    """An account with a login of the same name."""
    lines = "".join(f'[[account.domain]]\nname = "{name}"\nproved = true\n' for name in domains)
    login = f'[[account.credential]]\nlogin = "{identity}"\nsecret_file = "secret"\n'
    return f'[[account]]\nid = "{identity}"\nname = "{identity}"\n{more}{lines}{login}'


def plain(login, password=SECRET):
    """The command that signs a login in."""
    return "AUTH PLAIN " + base64.b64encode(f"\0{login}\0{password}".encode()).decode()


class House:
    """A directory with configuration and accounts, in which the server is started, stopped and killed."""

    def __init__(self, binary, root, config, accounts):
        self.binary, self.root, self.process = str(pathlib.Path(binary).resolve()), pathlib.Path(root), None
        self.root.mkdir(parents=True, exist_ok=True)
        (self.root / "secret").write_text(SECRET)
        (self.root / "accounts.toml").write_text(accounts)
        (self.root / "policies").mkdir(exist_ok=True)
        (self.root / "policies" / "keep.cedar").write_text(KEEP)
        self.configure(config)

    def configure(self, config):
        (self.root / "countersign.toml").write_text(config)

    def run(self, *arguments, timeout=120):
        """Runs a command of the CLI; its standard output. Anything but exit 0 is an error."""
        done = self.attempt(*arguments, timeout=timeout)
        if done.returncode != 0:
            raise RuntimeError(f"`countersign {' '.join(arguments)}` ended with {done.returncode}: {done.stderr}")
        return done.stdout

    def attempt(self, *arguments, timeout=120):
        """Runs a command of the CLI; what became of it."""
        command = [self.binary, *arguments, "--config", str(self.root / "countersign.toml")]
        return subprocess.run(command, capture_output=True, text=True, timeout=timeout, check=False)

    def apply(self):
        self.run("apply", str(self.root / "accounts.toml"), "--trust-proof")

    def start(self, seconds=30, under=(), largest_file=None, pass_fds=()):
        """Starts the server and waits for its ready line; the address of the submission door."""
        self.launch(under, largest_file, pass_fds)
        return self.wait_ready(seconds)

    def launch(self, under=(), largest_file=None, pass_fds=()):
        """Starts the server. `under` is a command that it is started by and that keeps its process id, such as
        `strace -D`; `largest_file` is a size beyond which it can write no file; `pass_fds` stay open in it."""
        command = [*under, self.binary, "serve", "--config", str(self.root / "countersign.toml")]
        with open(self.root / "serve.log", "ab") as log:
            self.process = subprocess.Popen(
                command, stdout=subprocess.PIPE, stderr=log, preexec_fn=lambda: prepare(largest_file), pass_fds=pass_fds
            )

    def wait_ready(self, seconds=30):
        if not select.select([self.process.stdout], [], [], seconds)[0]:
            self.kill()
            raise RuntimeError(f"no ready line in {seconds} s: {self.log()[-2000:]}")
        line = self.process.stdout.readline()
        if not line:
            self.ended(10)
            raise RuntimeError(f"the server did not start: {self.log()[-2000:]}")
        self.ready = json.loads(line)
        return self.ready["listeners"]["send.0"]

    def is_up(self):
        return self.process is not None and self.process.poll() is None

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
        """Waits for its end, and for that of all its threads; the exit code."""
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


def prepare(largest_file):
    """In the process that becomes the server."""
    process.more_files(20_000)
    if largest_file is not None:
        signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
        hard = resource.getrlimit(resource.RLIMIT_FSIZE)[1]
        resource.setrlimit(resource.RLIMIT_FSIZE, (largest_file, hard))


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

    def held(self):
        """All mail that is or was held, page by page."""
        rows, after = [], ""
        while after is not None:
            path, until = f"/v1/held?all=true&limit=1000{after}", time.monotonic() + 10
            # While the store comes back it may be 503.
            while (page := self.ask(path)) is None and time.monotonic() < until:
                time.sleep(0.1)
            rows += page["held"]
            after = f"&after={page['next']}" if page.get("next") else None
        return rows

    def order(self, path, body=None):
        """POSTs; the status and what was answered."""
        text = json.dumps(body) if body is not None else ""
        self.request("POST", path, body=text, headers={"Content-Type": "application/json"})
        response = self.getresponse()
        said = response.read()
        try:
            return response.status, json.loads(said)
        except ValueError:
            return response.status, {"detail": said.decode("utf-8", "replace")}

    def reasons(self, reference):
        """The reason codes of a ruling, or None when it is not recorded."""
        entries = (self.ask(f"/v1/rulings/{reference}") or {}).get("entries", [])
        rulings = [entry["payload"]["ruling"] for entry in entries if "ruling" in (entry["payload"] or {})]
        return [reason["code"] for reason in rulings[0]["reasons"]] if rulings else None
