"""A Postfix of one's own in a directory, on a free port, that relays everything to one place.

Its re-injection listener and its settings are read from `docs/how-to/postfix.md`: what is measured is what the page
says. It starts `master` itself, not the `postfix` command, so that it touches nothing of the system's Postfix.
"""

import os
import pathlib
import re
import shutil
import socket
import subprocess
import time

PAGE = pathlib.Path(__file__).resolve().parents[2] / "docs/how-to/postfix.md"

MAIN = """\
compatibility_level = 3.6
queue_directory = {root}/spool
data_directory = {root}/data
maillog_file = {root}/maillog
maillog_file_prefixes = {root}
myhostname = mta.example
mydestination =
inet_interfaces = loopback-only
inet_protocols = ipv4
mynetworks = 127.0.0.0/8
alias_maps =
alias_database =
smtpd_peername_lookup = no
smtp_dns_support_level = disabled
smtp_host_lookup = native
default_transport = smtp:[127.0.0.1]:{sink}
relayhost =
smtp_tls_security_level = none
smtpd_tls_security_level = none
smtpd_relay_restrictions = permit_mynetworks, reject
smtpd_error_sleep_time = 0
smtp_destination_concurrency_limit = 20
minimal_backoff_time = 1s
maximal_backoff_time = 2s
queue_run_delay = 2s
# Return-Path, Bcc and Content-Length stay, so that header sections can be compared octet by octet.
message_drop_headers =
"""

SERVICES = """\
cleanup unix n - n - 0 cleanup
qmgr unix n - n 300 1 qmgr
rewrite unix - - n - - trivial-rewrite
bounce unix - - n - 0 bounce
defer unix - - n - 0 bounce
trace unix - - n - 0 bounce
verify unix - - n - 1 verify
flush unix n - n 1000? 0 flush
proxymap unix - - n - - proxymap
smtp unix - - n - - smtp
relay unix - - n - - smtp
error unix - - n - - error
retry unix - - n - - error
discard unix - - n - - discard
anvil unix - - n - 1 anvil
scache unix - - n - 1 scache
postlog unix-dgram n - n - 1 postlogd
"""

PRIVATE = "active bounce corrupt defer deferred flush hold incoming private saved trace".split()


def missing():
    """What is missing to start it, or nothing."""
    if os.geteuid() != 0:
        return "Postfix's master starts as root only"
    if shutil.which("postconf", path=os.environ.get("PATH", "") + ":/usr/sbin") is None:
        return "postfix is not installed"
    return ""


class Postfix:
    """A running Postfix, as a context."""

    def __init__(self, root, sink_port):
        self.root, self.port = pathlib.Path(root), free_port()
        self.layout()
        listener, settings = page()
        self.write("main.cf", MAIN.format(root=root, sink=sink_port) + settings)
        self.write("master.cf", listener.replace("10026", str(self.port), 1) + SERVICES)
        postconf = shutil.which("postconf", path=os.environ.get("PATH", "") + ":/usr/sbin")
        daemons = subprocess.run(
            [postconf, "-h", "daemon_directory"], capture_output=True, text=True, check=True, timeout=10
        ).stdout.strip()
        command = [f"{daemons}/master", "-c", str(self.root / "etc"), "-d"]
        self.process = subprocess.Popen(command, process_group=0)  # It ends its children by its process group.

    def write(self, name, text):
        """Writes a file as if of old: Postfix waits two seconds after a change before it believes it."""
        path = self.root / "etc" / name
        path.write_text(text)
        os.utime(path, (1_000_000_000, 1_000_000_000))

    def layout(self):
        """The queue's directories. Postfix's user must reach them: what they are in must be searchable for all."""
        spool = self.root / "spool"
        for path in [self.root / "etc", self.root / "data", spool / "pid"]:
            path.mkdir(parents=True)
        self.root.chmod(0o755)
        for path in [self.root / "data", *(spool / name for name in PRIVATE)]:
            path.mkdir(exist_ok=True)
            shutil.chown(path, "postfix")
            path.chmod(0o700)
        for name, mode in (("maildrop", 0o730), ("public", 0o710)):
            (spool / name).mkdir()
            shutil.chown(spool / name, "postfix", "postdrop")
            (spool / name).chmod(mode)

    def __enter__(self):
        """Waits for the greeting."""
        until = time.monotonic() + 10
        while time.monotonic() < until and self.process.poll() is None:
            try:
                with socket.create_connection(("127.0.0.1", self.port), timeout=5) as connection:
                    if connection.recv(3) == b"220":
                        return self
            except OSError:
                time.sleep(0.05)
        self.__exit__()
        raise RuntimeError(f"Postfix does not start: {self.log()[-2000:]}")

    def log(self):
        path = self.root / "maillog"
        return path.read_text(errors="replace") if path.exists() else "it wrote no log"

    def __exit__(self, *_):
        self.process.terminate()
        try:
            self.process.wait(timeout=10)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()


def page():
    """The listener for master.cf and the settings for main.cf, as the how-to page gives them."""
    blocks = re.findall(r"^```\w*\n(.*?)^```", PAGE.read_text(encoding="utf-8"), re.MULTILINE | re.DOTALL)
    listener = next(block for block in blocks if block.startswith("127.0.0.1:10026 inet"))
    settings = next(block for block in blocks if block.startswith("smtp_line_length_limit"))
    return listener, settings


def free_port():
    """A port that was free a moment ago."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        return listener.getsockname()[1]
