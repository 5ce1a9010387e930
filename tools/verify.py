#!/usr/bin/env python3
"""Verifies an exported ledger or a second sink, independently of the program that wrote it.

    tools/verify.py FILE... [--key VERIFIERKEY] [--head NOTE]

FILE comes from `countersign ledger export`, or is a second sink. VERIFIERKEY is the log's key as its owner told you; without it the key in
the file is believed. NOTE is a file with a checkpoint that you kept: without it, a log that its own owner cut at the
end or wrote anew is not seen. Exit 0: verified; 20: broken, and where first. docs/reference/ledger-export.md explains.
"""
import argparse
import base64
import hashlib
import json
import re
import struct
import sys

try:
    from cryptography.exceptions import InvalidSignature
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
except ImportError:
    sys.exit("verify.py needs the Python package `cryptography` (Debian: python3-cryptography)")

# version, kind, time, account, seq, previous, actor, decision, policy, commitment, key id
LEAF = struct.Struct(">BBq16sQ32s16sB32s32s16s")
CHECKPOINT = re.compile(r"([^\n]+)\n(0|[1-9][0-9]{0,18})\n([A-Za-z0-9+/]{43}=)\n((?:[^\n]+\n)*)")
SIGNATURE = re.compile("\u2014 ([^\\s+]+) ([A-Za-z0-9+/]+=*)")


def sha256(*parts):
    return hashlib.sha256(b"".join(parts)).digest()


def must(true, what):
    if not true:
        raise ValueError(what)


def unbase64(text):
    octets = base64.b64decode(text, validate=True)
    must(base64.b64encode(octets).decode() == text, "another base64 of the same octets")
    return octets


def parse(octets):
    """A line, if it is in the one form that it may have: what it says is written again and compared."""
    value = json.loads(octets)
    again = json.dumps(value, ensure_ascii=False, separators=(",", ":")) + "\n"
    must(again.encode() == octets, "it is not in the one form that a line has")
    return value


def verifier_key(text):
    """`name+id+base64` as name, id and Ed25519 key."""
    name, key_id, octets = text.split("+", 2)
    octets = unbase64(octets)
    right = sha256(name.encode(), b"\n", octets)[:4]
    must(len(octets) == 33 and octets[0] == 1 and right.hex() == key_id, "no verifier key")
    return name, right, Ed25519PublicKey.from_public_bytes(octets[1:])


def checkpoint(note, key):
    """Size, root, extension lines and number of signatures of a checkpoint that the key signed."""
    text, signatures = note.rsplit("\n\n", 1)
    must(signatures.endswith("\n") and not re.search(r"[\x00-\x09\x0b-\x1f]", text), "no signed note")
    signatures = [SIGNATURE.fullmatch(line).groups() for line in signatures[:-1].split("\n")]
    signatures = [(name, unbase64(octets)) for name, octets in signatures]
    ours = [octets[4:] for name, octets in signatures if (name, octets[:4]) == key[:2]]
    must(ours, "not signed by this log")
    for signature in ours:
        key[2].verify(signature, (text + "\n").encode())
    origin, size, root, extensions = CHECKPOINT.fullmatch(text + "\n").groups()
    must(origin == key[0] and int(size) < 1 << 63, "not of this log")
    return int(size), unbase64(root), extensions, len(signatures)


def root_of(peaks):
    """RFC 6962 2.1, from the complete subtrees, largest first."""
    root = peaks[-1] if peaks else sha256()
    for left in reversed(peaks[:-1]):
        root = sha256(b"\x01", left, root)
    return root


def push(peaks, size, node):
    """Adds a leaf to the complete subtrees over the first `size` leaves."""
    while size & 1:
        node, size = sha256(b"\x01", peaks.pop(), node), size >> 1
    peaks.append(node)


def verify(lines, expected, note):
    """The way through a file. Raises ValueError with what is wrong, and where first."""
    size, peaks, covered, before, chains, counts = 0, [], 0, -(1 << 63), {}, {"opened": 0, "erased": 0, "withheld": 0}
    key, head, digest, closed = None, (0, root_of([])), hashlib.sha256(), False
    # Of a second sink: its checkpoints come late, so there is a tree up to the last one, and the leaves after it.
    sink, signed, unsigned = False, [], []
    for octets in lines:
        if sink and not octets.endswith(b"\n"):
            break  # A server is writing it, or was killed when it did.
        place = f"leaves {covered} to {size}" if octets[:3] == b'{"c' else f"leaf {size}"
        place = place if key and not closed else "file"
        try:
            must(not closed, "something stands after the closing line")
            line = parse(octets)
            kind = tuple(line)
            if not key:
                sink = kind[0] == "sink"
                must(kind == ("sink" if sink else "v", "origin", "key", "from", "continues"), "it has no header")
                must(expected in (None, line["key"]), "it is of a log with another key")
                key = verifier_key(line["key"])
                first = octets.startswith((b'{"v":1,', b'{"sink":1,')) and b',"from":0,' in octets
                must(first, "another version, or not from leaf 0")
                must(line["origin"] == key[0], "the key is of another log")
                if line["continues"] is not None:
                    must(tuple(line["continues"]) == ("note", "key"), "it continues nothing that can be read")
                    checkpoint(line["continues"]["note"], verifier_key(line["continues"]["key"]))
                head = checkpoint(note, key) if note else head
            elif kind == ("idx", "hash", "leaf", "payload"):
                leaf, payload = unbase64(line["leaf"]), line["payload"]
                must(octets.startswith(b'{"idx":%d,' % size), "another leaf stands in its place")
                node = sha256(b"\x00", leaf)
                must(node == unbase64(line["hash"]), "its hash is not the one beside it")
                version, what, time, account, seq, previous, _, _, _, commitment, _ = LEAF.unpack(leaf)
                must(version == 1 and what in (1, 2, 3) and time >= before, "its version, kind or time cannot be")
                must((seq - 1, previous) == chains.get(account, (0, bytes(32))), "the chain of its account is broken")
                if payload not in ("erased", "withheld"):
                    must(tuple(payload) == ("opened",) and tuple(payload["opened"]) == ("salt", "text"), "no payload")
                    salt, text = unbase64(payload["opened"]["salt"]), payload["opened"]["text"].encode()
                    must(len(salt) == 32 and sha256(salt, text) == commitment, "it is not the payload of the leaf")
                counts[payload if isinstance(payload, str) else "opened"] += 1
                before, chains[account] = time, (seq, node)
                push(peaks, size, node)
                unsigned += [node] if sink else []
                size += 1
                place = f"leaves {covered} to {size}"
            elif sink:
                place = place if kind == ("checkpoint",) else f"leaf {size}"
                must(kind == ("checkpoint",), "another line stands in its place")
                count, root, _, _ = checkpoint(line["checkpoint"], key)
                place = f"leaf {size}"
                must(covered <= count <= size, f"the checkpoint line counts {count} leaves")
                for at, node in enumerate(unsigned[: count - covered], covered):
                    push(signed, at, node)
                place = f"leaves {covered} to {count}"
                must(root == root_of(signed), "the root over them is not that of the checkpoint line")
                covered, unsigned = count, unsigned[count - covered :]
            else:
                must(kind in (("checkpoint",), ("closing",)), "another line stands in its place")
                count, root, extensions, signatures = checkpoint(line[kind[0]], key)
                place = f"leaf {min(count, size) if kind[0] == 'closing' else size}" if count != size else place
                must(count == size, f"the {kind[0]} line counts {count} leaves")
                must(root == root_of(peaks), f"the root over them is not that of the {kind[0]} line")
                covered, closed = size, kind[0] == "closing"
                place = "file" if closed else place
                covering = f"export sha256 {base64.b64encode(digest.digest()).decode()}\n"
                must(not closed or (extensions, signatures) == (covering, 1), "not what the closing line was signed for")
            must(head[0] != size or head[1] == root_of(peaks), "another root than the checkpoint that was kept")
        except (ValueError, TypeError, AttributeError, KeyError, RecursionError, struct.error, InvalidSignature) as error:
            raise ValueError(f"broken at {place}: {str(error) or type(error).__name__}") from error
        digest.update(octets)
    must(closed or sink, "broken at file: it ends without a closing line")
    must(head[0] <= size, f"broken at leaf {size}: the checkpoint that was kept counts {head[0]} leaves")
    tree = f"root {root_of(peaks).hex()}, log {key[0]}" + (f", signed up to leaf {covered}" if sink else "")
    return f"verified: {size} leaves, {len(chains)} accounts, {counts}, {tree}"


def main():
    arguments = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    arguments.add_argument("files", metavar="FILE", nargs="+")
    arguments.add_argument("--key", help="the verifier key of the log, as its owner told you")
    arguments.add_argument("--head", metavar="NOTE", help="a file with a checkpoint that you kept")
    arguments = arguments.parse_args()
    note, status = None, 0
    if arguments.head:
        with open(arguments.head, encoding="utf-8", newline="") as file:
            note = file.read()
    for name in arguments.files:
        try:
            with open(name, "rb") as lines:
                print(f"{name}: {verify(lines, arguments.key, note)}")
        except ValueError as error:
            print(f"{name}: {error}")
            status = 20
    return status


if __name__ == "__main__":
    sys.exit(main())
