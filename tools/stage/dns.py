"""A DNS server for one zone, on a free port, over UDP and TCP. Zones are written as in the OpenSPF suite."""

import ipaddress
import socketserver
import struct
import sys
import threading

TYPES = {"A": 1, "CNAME": 5, "SOA": 6, "PTR": 12, "MX": 15, "TXT": 16, "AAAA": 28}
SERVFAIL, NXDOMAIN = 2, 3
SOA = b"\0\0" + struct.pack("!5I", 1, 60, 60, 60, 60)  # Of the root; a resolver keeps a negative answer by its TTL.


class Zone:
    """The records of a scenario, as a resolver sees them that follows aliases."""

    def __init__(self, names, ttl=60):
        self.ttl = ttl
        self.names = {name.rstrip(".").lower(): entries for name, entries in names.items()}

    def answer(self, name, kind):
        """Answer section and RCODE, or None for silence."""
        answers = []
        for _ in range(8):
            entries = self.names.get(name.lower())
            if entries is None:
                return answers, NXDOMAIN
            found = list(self.values(entries, kind))
            alias = next(self.values(entries, "CNAME"), None)
            if not found and "TIMEOUT" in entries:
                return None  # A name with TIMEOUT is silent for the types that it does not list.
            if not found and any("RCODE" in entry for entry in entries if isinstance(entry, dict)):
                return answers, next(int(entry["RCODE"]) for entry in entries if "RCODE" in entry)
            answers += [(name, kind, data(kind, value)) for value in found]
            if found or alias is None:
                return answers, 0
            answers.append((name, "CNAME", wire_name(alias)))
            name = alias.rstrip(".")
        return [], SERVFAIL  # Aliases in a circle.

    @staticmethod
    def values(entries, kind):
        """Values of a type. SPF records are text, unless the name lists its text records itself."""
        entries = [entry for entry in entries if isinstance(entry, dict)]
        if kind == "TXT" and not any("TXT" in entry for entry in entries):
            kind = "SPF"
        return (entry[kind] for entry in entries if kind in entry and entry[kind] != "NONE")


def octets(text):
    """The suite writes octets as the characters of Latin-1."""
    try:
        return text.encode("latin-1")
    except UnicodeEncodeError:
        return text.encode("utf-8")


def wire_name(name):
    labels = [octets(label) for label in name.split(".") if label]
    return b"".join(bytes([len(label)]) + label for label in labels) + b"\0"


def data(kind, value):
    """The RDATA of a value."""
    if kind in ("A", "AAAA"):
        return ipaddress.ip_address(value).packed
    if kind in ("PTR", "CNAME"):
        return wire_name(value)
    if kind == "MX":
        return struct.pack("!H", value[0]) + wire_name(value[1])
    strings = [octets(string) for string in ([value] if isinstance(value, str) else value)]
    pieces = [string[at:at + 255] for string in strings for at in range(0, len(string) or 1, 255)] or [b""]
    return b"".join(bytes([len(piece)]) + piece for piece in pieces)


def reply(zone, query, limit):
    """The packet that answers a query, or None to stay silent."""
    labels, at = [], 12
    while query[at]:
        labels.append(query[at + 1:at + 1 + query[at]].decode("latin-1"))
        at += 1 + query[at]
    question = query[12:at + 5]
    (number,) = struct.unpack("!H", query[at + 1:at + 3])
    kind = next((kind for kind, value in TYPES.items() if value == number), None)
    answer = zone.answer(".".join(labels), kind)
    if answer is None:
        return None
    records, rcode = answer
    has_data = any(kind != "CNAME" for _, kind, _ in records)
    authority = [] if has_data or rcode not in (0, NXDOMAIN) else [("", "SOA", SOA)]
    body = b"".join(
        wire_name(name) + struct.pack("!HHIH", TYPES[kind], 1, zone.ttl, len(rdata)) + rdata
        for name, kind, rdata in records + authority
    )
    flags = 0x8580 | rcode  # An answer, authoritative, recursion offered.
    counts = struct.pack("!4H", 1, len(records), len(authority), 0)
    if 12 + len(question) + len(body) > limit:
        flags, counts, body = flags | 0x0200, struct.pack("!4H", 1, 0, 0, 0), b""  # Truncated: ask by TCP.
    return query[:2] + struct.pack("!H", flags) + counts + question + body


class Udp(socketserver.BaseRequestHandler):
    def handle(self):
        query, sock = self.request
        packet = reply(self.server.zone, query, 512)
        if packet is not None:
            sock.sendto(packet, self.client_address)


class Tcp(socketserver.StreamRequestHandler):
    def handle(self):
        while len(prefix := self.rfile.read(2)) == 2:
            packet = reply(self.server.zone, self.rfile.read(int.from_bytes(prefix)), 65_535)
            if packet is not None:
                self.wfile.write(len(packet).to_bytes(2) + packet)


class Server:
    """A name server for one zone on a free port, as a context."""

    def __init__(self, zone):
        socketserver.ThreadingTCPServer.daemon_threads = True
        self.servers = self.bind()
        self.port = self.servers[0].server_address[1]
        for server in self.servers:
            server.zone = zone
            threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True).start()

    @staticmethod
    def bind():
        """The same port for both transports."""
        for _ in range(20):
            udp = socketserver.ThreadingUDPServer(("127.0.0.1", 0), Udp)
            try:
                return udp, socketserver.ThreadingTCPServer(udp.server_address, Tcp)
            except OSError:
                udp.server_close()
        sys.exit("no port is free for both UDP and TCP")

    def __enter__(self):
        return self

    def __exit__(self, *_):
        for server in self.servers:
            server.shutdown()
            server.server_close()
