"""A well-behaved client that sends at a steady pace, with an MTA of its own behind the server, both in a process of
their own: what others notice when somebody misbehaves, and not what our own attackers do to each other.
"""

import multiprocessing
import threading
import time

from stage import house
from stage.cases import percentile
from stage.client import Client, text
from stage.sink import Sink

BODY = b"a line of a letter like every day's\r\n" * 100
SPAWN = multiprocessing.get_context("spawn")


def work(account, sender, every, tls, source, pipe):
    """In the process: a sink; then, when it is told where to, sends and tells (began, seconds, code, said) of each."""
    with Sink() as sink:
        pipe.send(sink.port)
        address = pipe.recv()
        client, number, due = None, 0, time.monotonic()
        while True:
            began = time.monotonic()
            number += 1
            try:
                if client is None:
                    client = Client(address, account, house.SECRET, timeout=60, tls=tls, source=source)
                reply = send(client, account, sender, number)
                code, said = reply.code, text(reply)
            except (OSError, ValueError) as error:
                client, code, said = None, 0, f"{type(error).__name__} {error}"
            pipe.send((began, time.monotonic() - began, code, said if code != 250 else ""))
            if pipe.poll():
                address, client = pipe.recv(), None
            sink.forget()
            due = max(due + every, time.monotonic() - 1)  # What was missed is made up for within a second.
            time.sleep(max(0, due - time.monotonic()))


def send(client, account, sender, number):
    recipient = f"steady-{account}-{number}@reader.example"
    names = f"From: <{sender}>\r\nTo: <{recipient}>\r\nSubject: {number}\r\n"
    message = names + f"Message-ID: <{number}@steady.example>\r\n\r\n"
    return client.send(sender, recipient, message.encode() + BODY)


def quiet(*arguments):
    try:
        work(*arguments)
    except (OSError, EOFError, KeyboardInterrupt):
        return  # Nobody listens any more.


class Steady:
    """The client, as a context."""

    def __init__(self, account, sender, every=0.02, tls=False, source=None):
        self.pipe, theirs = SPAWN.Pipe()
        arguments = (account, sender, every, tls, source, theirs)
        self.process = SPAWN.Process(target=quiet, args=arguments, daemon=True)
        self.process.start()
        theirs.close()
        self.sent = []
        self.port = self.pipe.recv()
        threading.Thread(target=self.listen, daemon=True).start()

    def begin(self, address):
        """From now on it sends to this address; waits until it is under way."""
        at = len(self.sent)
        self.pipe.send(address)
        until = time.monotonic() + 30
        while not any(code == 250 for _, _, code, _ in self.sent[at:]):
            if time.monotonic() > until:
                raise RuntimeError(f"the well-behaved client cannot send: {self.sent[-1:]}")
            time.sleep(0.02)

    def listen(self):
        """Takes what it tells, so that it never waits for us."""
        try:
            while True:
                self.sent.append(self.pipe.recv())
        except (OSError, EOFError):
            return

    def between(self, began, ended):
        """Figures of what it began to send between two moments. One that takes long is waited for."""
        until = time.monotonic() + 65
        while not (self.sent and sum(self.sent[-1][:2]) >= ended) and time.monotonic() < until:
            time.sleep(0.01)
        found = [sent for sent in list(self.sent) if began <= sent[0] < ended]
        times = [seconds for _, seconds, code, _ in found if code == 250]
        return {
            "sent": len(times),
            "per_second": round(len(times) / max(ended - began, 0.001), 2),
            "p50_ms": milliseconds(percentile(times, 0.50)),
            "p99_ms": milliseconds(percentile(times, 0.99)),
            "failed": [said for _, _, code, said in found if code != 250],
        }

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.process.terminate()
        self.process.join(10)


def milliseconds(seconds):
    return None if seconds is None else round(seconds * 1000, 1)
