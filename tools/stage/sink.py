"""An SMTP server that takes everything and keeps it exactly as it came: the far side."""

import collections
import socketserver
import threading
import time

EXTENSIONS = ["PIPELINING", "SIZE 104857600", "8BITMIME", "ENHANCEDSTATUSCODES", "CHUNKING", "DSN", "SMTPUTF8"]

Mail = collections.namedtuple("Mail", "mail_from message")


class Session(socketserver.StreamRequestHandler):
    """One connection. It checks nothing: what is behind it is what is tested."""

    disable_nagle_algorithm = True

    def handle(self):
        try:
            self.converse()
        except OSError:
            pass  # The other side was killed; that is what some tools do to it.

    def converse(self):
        mail_from, recipients, chunks = "", [], []
        self.say("220 sink.example ESMTP")
        while line := self.rfile.readline(8192):
            verb = line[:4].upper()
            if verb == b"EHLO":
                self.say(*[f"250-{name}" for name in ["sink.example", *EXTENSIONS[:-1]]], f"250 {EXTENSIONS[-1]}")
            elif verb == b"MAIL":
                mail_from, recipients, chunks = address(line), [], []
                self.say("250 2.1.0 ok")
            elif verb == b"RCPT":
                recipients.append(address(line))
                self.say("250 2.1.5 ok")
            elif verb == b"DATA":
                self.say("354 go on")
                message = self.message()
                if message is None:
                    return
                self.take(mail_from, recipients, message)
            elif verb == b"BDAT":
                words = line.split()
                chunks.append(self.rfile.read(int(words[1])))
                if words[-1].upper() == b"LAST":
                    self.take(mail_from, recipients, b"".join(chunks))
                else:
                    self.say("250 2.0.0 chunk kept")
            elif verb == b"QUIT":
                self.say("221 2.0.0 bye")
                return
            else:
                self.say("250 2.0.0 ok")

    def take(self, mail_from, recipients, message):
        sink = self.server.sink
        with sink.lock:
            sink.waiting += 1
        sink.open.wait(120)
        time.sleep(sink.delay)
        with sink.lock:
            sink.waiting -= 1
        sink.keep(recipients, Mail(mail_from, message))
        self.say("250 2.0.0 kept")

    def message(self):
        """The octets up to the end mark, without stuffed dots; None when the connection ends before it."""
        lines = []
        while line := self.rfile.readline():
            if line == b".\r\n":
                return b"".join(lines)
            lines.append(line[1:] if line.startswith(b".") else line)
        return None

    def say(self, *lines):
        self.wfile.write("".join(f"{line}\r\n" for line in lines).encode())


def address(line):
    """What is between the angle brackets."""
    return line.partition(b"<")[2].partition(b">")[0].decode("utf-8", "replace")


class Sink:
    """A running sink, as a context. Messages are kept by recipient: the tools use each recipient once.

    `delay` is how many seconds it lets pass before each reply to a message; while `open` is clear, it gives none, and
    `waiting` says how many messages wait for one. A message counts as kept when its reply goes out."""

    def __init__(self, delay=0):
        socketserver.ThreadingTCPServer.daemon_threads = True
        socketserver.ThreadingTCPServer.request_queue_size = 128
        self.server = socketserver.ThreadingTCPServer(("127.0.0.1", 0), Session)
        self.server.sink = self
        self.port = self.server.server_address[1]
        self.lock = threading.Lock()
        self.mail = collections.defaultdict(list)
        self.delay, self.waiting, self.taken = delay, 0, 0
        self.open = threading.Event()
        self.open.set()
        threading.Thread(target=self.server.serve_forever, args=(0.05,), daemon=True).start()

    def keep(self, recipients, mail):
        with self.lock:
            self.taken += 1
            for recipient in recipients:
                self.mail[recipient].append(mail)

    def forget(self):
        """Forgets what came, so that long runs stay small."""
        with self.lock:
            self.mail.clear()

    def kept(self):
        """What has come so far: recipient -> list of Mail."""
        with self.lock:
            return {recipient: list(mails) for recipient, mails in self.mail.items()}

    def wait_for(self, recipients, seconds):
        """Waits until all of these have something, or until the time is over; then as `kept`."""
        until = time.monotonic() + seconds
        while not recipients <= (kept := self.kept()).keys() and time.monotonic() < until:
            time.sleep(0.05)
        return kept

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.open.set()
        self.server.shutdown()
        self.server.server_close()
