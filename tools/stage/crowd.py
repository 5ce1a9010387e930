"""A crowd of connections that misbehave, in a process of its own, polite to the machine (nice 10) but not to the server.

Each connects from an address of its own in 127.0.0.0/8, so that limits for an address do not decide everything.
"""

import errno
import os
import selectors
import socket
import struct
import time

from stage import process

RESET = struct.pack("ii", 1, 0)


def addresses():
    """127.1.0.1, 127.1.1.1, ...: each in another network of 256, then the next of each."""
    at = 0
    while True:
        net, host = at % 40_000, at // 40_000
        yield f"127.{1 + net // 250}.{net % 250}.{1 + host % 250}"
        at += 1


def connecting(address, source):
    """A socket that begins to connect, or None when this machine has no more to give."""
    host, _, port = address.rpartition(":")
    sock = socket.socket()
    sock.setblocking(False)
    try:
        sock.bind((source, 0))
        sock.connect((host, int(port)))
    except BlockingIOError:
        pass
    except OSError:
        sock.close()
        return None
    return sock


def slow(address, count, every, pipe):
    """Opens `count` connections and keeps them as long as it may, with an octet of EHLO on each every so many seconds."""
    os.nice(10)
    process.more_files(count + 200)
    crowd = Crowd(address, count, every)
    told = 0
    while not pipe.poll():
        crowd.step()
        if time.monotonic() - told > 0.5:
            told = time.monotonic()
            pipe.send(crowd.figures())
    pipe.send(crowd.figures())


class Crowd:
    """Slow connections. What the server closes is opened again, a few at a time."""

    def __init__(self, address, count, every):
        self.address, self.count, self.every = address, count, every
        self.sources, self.selector = addresses(), selectors.DefaultSelector()
        self.standing, self.due = {}, []
        self.opened = self.greeted = self.turned_away = self.closed = 0

    def step(self):
        for _ in range(min(50, self.count - len(self.standing))):
            sock = connecting(self.address, next(self.sources))
            if sock is None:
                break
            self.standing[sock] = 0
            self.opened += 1
            self.selector.register(sock, selectors.EVENT_READ)
        for key, _ in self.selector.select(0.02):
            self.read(key.fileobj)
        self.drip()

    def read(self, sock):
        try:
            said = sock.recv(4096)
        except OSError:
            said = b""
        if said.startswith(b"220"):
            self.greeted += 1
            self.due.append((time.monotonic() + self.every, sock))
        elif said[:3] in (b"421", b"554"):
            self.turned_away += 1
            self.leave(sock)
        elif not said:
            self.closed += 1
            self.leave(sock)

    def drip(self):
        """The next octet of a line that never ends, to those whose turn it is."""
        now, later = time.monotonic(), []
        while self.due and self.due[0][0] <= now:
            _, sock = self.due.pop(0)
            if sock not in self.standing:
                continue
            octets = b"EHLO client.example"
            at = self.standing[sock]
            try:
                sock.send(octets[at % len(octets):][:1])
                self.standing[sock] = at + 1
                later.append((now + self.every, sock))
            except OSError:
                self.leave(sock)
        self.due += later

    def leave(self, sock):
        if sock in self.standing:
            self.selector.unregister(sock)
            del self.standing[sock]
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, RESET)
            sock.close()

    def figures(self):
        names = ("opened", "greeted", "turned_away", "closed")
        return {"standing": len(self.standing)} | {name: getattr(self, name) for name in names}


def flood(address, rate, seconds, pipe):
    """Opens connections at a rate and lets each go when it has been greeted, or after a second."""
    os.nice(10)
    process.more_files(12_000)
    sources, selector = addresses(), selectors.DefaultSelector()
    began, opened, failed, replies, standing = time.monotonic(), 0, 0, {}, {}
    while (now := time.monotonic()) < began + seconds:
        for _ in range(min(200, int((now - began) * rate) - opened)):
            opened += 1
            sock = connecting(address, next(sources)) if len(standing) < 10_000 else None
            if sock is None:
                failed += 1
                continue
            standing[sock] = now
            selector.register(sock, selectors.EVENT_READ)
        ready = [key.fileobj for key, _ in selector.select(0.005)]
        for sock in ready:
            try:
                said = sock.recv(64)[:3].decode("latin-1") or "closed"
            except OSError as error:
                said = errno.errorcode.get(error.errno, "error")
            replies[said] = replies.get(said, 0) + 1
        old = [sock for sock, since in standing.items() if now - since > 1][:500]
        for sock in {*ready, *old}:
            if sock not in ready:
                replies["nothing in 1 s"] = replies.get("nothing in 1 s", 0) + 1
            selector.unregister(sock)
            del standing[sock]
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, RESET)
            sock.close()
    took = time.monotonic() - began
    pipe.send({"rate": round(opened / took), "not_opened": failed, "replies": replies})
