"""swaks as the client: a program of somebody else, which knows nothing of the server that it speaks to."""

import re
import shutil
import subprocess

from stage.client import Reply, stuffed


def missing():
    """What is missing, or nothing."""
    return "" if shutil.which("swaks") else "swaks is not installed"


def send(address, login, password, mail_from, recipient, message, scratch):
    """Sends a message as it is, over STARTTLS; the reply to its end. `scratch` is a file that it may write."""
    scratch.write_bytes(stuffed(message).removesuffix(b"\r\n"))  # With --no-data-fixup swaks adds this one only.
    command = ["swaks", "--server", address, "--tls", "--helo", "client.example"]
    command += ["--auth", "PLAIN", "--auth-user", login, "--auth-password", password]
    command += ["--from", mail_from, "--to", recipient, "--no-data-fixup", "--data", f"@{scratch}"]
    done = subprocess.run(command, capture_output=True, timeout=60, check=False)
    scratch.unlink()
    failed = [f"swaks ended with {done.returncode}", *done.stderr.decode("utf-8", "replace").splitlines()]
    return last_reply(done.stdout) or Reply(0, failed)


def last_reply(transcript):
    """The reply before the one to QUIT. Lines that swaks says begin with ` ->` or ` ~>` (TLS), those that it hears
    with `<-`, `<~` or `<**`."""
    reply, lines = None, []
    before_quit = transcript.rpartition(b"> QUIT")[0]
    for code, more, text in re.findall(rb"(?m)^<[-~*]+ +(\d{3})([ -])(.*?)\r?$", before_quit):
        lines.append(text.decode("utf-8", "replace"))
        if more == b" ":
            reply, lines = Reply(int(code), lines), []
    return reply
