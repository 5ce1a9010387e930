"""A well-behaved client that sends at a steady pace, in a process of its own: what others notice.

    with Steady(address, "globex", "news@globex.example", every=0.02) as steady:
        mark = steady.mark(); ...; figures = steady.since(mark)
"""

import multiprocessing
import time

from stage import house
from stage.cases import percentile
from stage.client import Client, text

BODY = b"a line of a letter like every day's\r\n" * 100
SPAWN = multiprocessing.get_context("spawn")


def work(address, account, sender, every, tls, source, pipe):
    """In the process: sends, and tells (began, seconds, code) of each."""
    client, number, due = None, 0, time.monotonic()
    while True:
        began = time.monotonic()
        number += 1
        recipient = f"steady-{account}-{number}@reader.example"
        head = f"From: <{sender}>\r\nTo: <{recipient}>\r\nSubject: {number}\r\nMessage-ID: <{number}@steady.example>\r\n\r\n"
        try:
            if client is None:
                client = Client(address, account, house.SECRET, timeout=60, tls=tls, source=source)
            reply = client.send(sender, recipient, head.encode() + BODY)
            code, said = reply.code, text(reply)
        except (OSError, ValueError) as error:
            client, code, said = None, 0, str(error)
        try:
            pipe.send((began, time.monotonic() - began, code, said if code != 250 else ""))
        except OSError:
            return  # Nobody listens any more.
        due = max(due + every, time.monotonic() - every)  # What was missed is not made up for.
        time.sleep(max(0, due - time.monotonic()))


class Steady:
    """The client, as a context."""

    def __init__(self, address, account, sender, every=0.02, tls=False, source=None):
        self.pipe, theirs = SPAWN.Pipe(duplex=False)
        self.process = SPAWN.Process(target=work, args=(address, account, sender, every, tls, source, theirs), daemon=True)
        self.process.start()
        theirs.close()
        self.sent = []

    def read(self):
        """Everything that it has told so far."""
        while self.pipe.poll():
            self.sent.append(self.pipe.recv())
        return self.sent

    def mark(self):
        """Now, after it has sent what it was sending."""
        return time.monotonic()

    def between(self, began, ended):
        """Figures of what it began to send between two moments. One that takes long is waited for."""
        until = time.monotonic() + 65
        while not (self.read() and sum(self.sent[-1][:2]) >= ended) and time.monotonic() < until:
            time.sleep(0.01)
        found = [sent for sent in self.sent if began <= sent[0] < ended]
        times = [seconds for _, seconds, code, _ in found if code == 250]
        return {
            "sent": len(times),
            "per_second": round(len(times) / max(ended - began, 0.001), 2),
            "p50_ms": milliseconds(percentile(times, 0.50)),
            "p99_ms": milliseconds(percentile(times, 0.99)),
            "failed": [said for _, _, code, said in found if code != 250],
        }

    def __enter__(self):
        """Waits until it is under way."""
        until = time.monotonic() + 30
        while not any(code == 250 for _, _, code, _ in self.read()):
            if time.monotonic() > until:
                raise RuntimeError(f"the well-behaved client cannot send: {self.sent[-1:]}")
            time.sleep(0.02)
        return self

    def __exit__(self, *_):
        self.process.terminate()
        self.process.join(10)


def milliseconds(seconds):
    return None if seconds is None else round(seconds * 1000, 1)
