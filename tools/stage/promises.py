"""Promises of the server and whether it kept them: letters, the clients that send them, and the questions afterwards.

Clients behave as MTAs do: what was not answered for good is sent again, octet by octet the same, after the restart.
"""

import collections
import queue
import random
import re
import threading
import time

from stage import house
from stage.client import Client, reference, text

ACME, GLOBEX = "acme", "globex"
# Kinds of letters: which account sends, and which domain writes.
KINDS = {
    "pass": (ACME, "acme.example"),
    "custody": (ACME, house.KEPT),
    "refusal": (ACME, "bank.example"),
    "blockable": (GLOBEX, "globex.example"),
}
WEIGHTS = {ACME: ["pass"] * 5 + ["custody"] * 3 + ["refusal"], GLOBEX: ["blockable"]}
ZONE = house.zone("acme.example", house.KEPT, "globex.example", "bank.example")
ACCOUNTS = house.account(ACME, "acme.example", house.KEPT) + house.account(GLOBEX, "globex.example")
TRACE = re.compile(rb"Countersign-Trace:((?:[^\r\n]|\r\n[ \t])*)")
BODY = "".join(f"line {number} of a message that is not very long\r\n" for number in range(60))


class Letter:
    """A letter, and what its sender knows of it."""

    def __init__(self, name, kind, chance):
        self.name, self.kind = name, kind
        self.account, domain = KINDS[kind]
        self.sender = f"news@{domain}" if kind != "refusal" else "news@acme.example"
        count = chance.choice([1, 1, 1, 2, 3])
        self.recipients = [f"{name}-{at}@reader.example" for at in range(count)]
        head = f"From: <news@{domain}>\r\nTo: <{self.recipients[0]}>\r\nSubject: {name}\r\nMessage-ID: <{name}@client.example>\r\n"
        self.octets = (head + "\r\n" + BODY[:chance.choice([50, 500, 2000])].rpartition("\r\n")[0] + "\r\n").encode()
        self.state, self.reference = "new", None  # new, sent, held, refused
        self.tries, self.in_doubt, self.released, self.released_in_doubt = 0, False, 0, False

    def is_open(self):
        return self.state == "new"


class Load:
    """Clients that send until the server is gone or they are told to stop. `left` is what has no final answer."""

    def __init__(self, address, book, senders, retries_only=False, count=10**9):
        self.address, self.book, self.retries_only, self.count = address, book, retries_only, count
        self.stop, self.lock = threading.Event(), threading.Lock()
        self.replies, self.answered, self.signed_in = collections.Counter(), 0, 0
        self.strange, self.accepted_at = [], []
        self.todo = {account: queue.SimpleQueue() for account in WEIGHTS}
        for letter in book.open_letters():
            self.todo[letter.account].put(letter)
        accounts = [GLOBEX if at % 4 == 3 else ACME for at in range(senders)]
        self.workers = [threading.Thread(target=self.work, args=(account,), daemon=True) for account in accounts]
        for worker in self.workers:
            worker.start()

    def work(self, account):
        try:
            client = Client(self.address, account, house.SECRET, timeout=20, tls=False)
            self.signed_in += 1
            for _ in range(self.count):
                letter = self.next(account)
                if letter is None or self.stop.is_set():
                    return
                if self.attempt(client, letter) in range(400, 500):
                    self.stop.wait(0.1)  # An MTA waits for minutes.
        except (OSError, ValueError):
            return  # Killed. What had no reply yet was not promised.

    def next(self, account):
        """What is to be sent again first; then new letters."""
        try:
            return self.todo[account].get_nowait()
        except queue.Empty:
            return None if self.retries_only else self.book.write(account)

    def attempt(self, client, letter):
        """Sends a letter; the code of the answer."""
        letter.tries += 1
        began, in_doubt = time.monotonic(), letter.in_doubt
        letter.in_doubt = True  # Until a reply says otherwise.
        reply = client.send(letter.sender, letter.recipients, letter.octets)
        with self.lock:
            self.answered += 1
            self.replies[reply.code] += 1
        letter.in_doubt = in_doubt or (reply.code == 451 and letter.tries > 1)
        if reply.code == 250:
            self.accepted_at.append((began, time.monotonic()))
            letter.reference = reference(reply)
            letter.state = "held" if "held" in text(reply) else "sent"
        elif reply.code >= 500:
            letter.state = "refused"
            if letter.kind in ("pass", "custody"):
                self.strange.append(f"{letter.name}: {text(reply)}")
        return reply.code

    def wait_for_replies(self, count, seconds=20):
        until = time.monotonic() + seconds
        while self.answered < count and time.monotonic() < until and any(w.is_alive() for w in self.workers):
            time.sleep(0.005)
        return self.answered >= count

    def is_over(self):
        return not any(worker.is_alive() for worker in self.workers)

    def finish(self, seconds=60):
        """Waits until the clients have nothing more to send."""
        for worker in self.workers:
            worker.join(seconds)

    def end(self, seconds=30):
        """Tells the clients to stop, and waits for them."""
        self.stop.set()
        for worker in self.workers:
            worker.join(seconds)


class Desk(threading.Thread):
    """Somebody at the control socket: blocks and unblocks an account, releases held mail, until the server is gone."""

    def __init__(self, home, book, chance):
        super().__init__(daemon=True)
        self.home, self.book, self.chance, self.stop = home, book, chance, threading.Event()
        self.orders = collections.Counter()
        self.start()

    def run(self):
        try:
            control = house.Control(self.home)
            while not self.stop.wait(self.chance.uniform(0, 0.05)):
                self.act(control)
        except (OSError, ValueError, ConnectionError, house.http.client.HTTPException):
            return  # Killed.

    def act(self, control):
        verb = self.chance.choice(["block", "unblock", "unblock", "release", "release"])
        if verb == "release":
            held = [letter for letter in self.book.all() if letter.state == "held" and not letter.released]
            if not held:
                return
            letter = self.chance.choice(held)
            letter.released, letter.released_in_doubt = 1, True  # Asked for; 2 is answered.
            status, _ = control.order(f"/v1/held/{letter.reference}/release")
            letter.released, letter.released_in_doubt = 2 if status == 200 else 0, False
        else:
            body = {"reason": "a test"} if verb == "block" else {}
            status, _ = control.order(f"/v1/accounts/{GLOBEX}/{verb}", body)
        self.orders[f"{verb} {status}"] += 1


class Book:
    """All letters of one data directory."""

    def __init__(self, prefix, sink, seed):
        self.prefix, self.sink, self.letters, self.lock = prefix, sink, {}, threading.Lock()
        self.chance = random.Random(seed)

    def write(self, account):
        """A new letter of an account."""
        with self.lock:
            kind = self.chance.choice(WEIGHTS[account])
            letter = Letter(f"{self.prefix}-{len(self.letters)}", kind, self.chance)
            self.letters[letter.name] = letter
            return letter

    def all(self):
        with self.lock:
            return list(self.letters.values())

    def open_letters(self):
        return [letter for letter in self.all() if letter.is_open()]

    def counted(self):
        return dict(collections.Counter(letter.state for letter in self.all()))

    def copies(self, letter):
        """What arrived for each recipient."""
        kept = self.sink.mail
        return [list(kept.get(recipient, ())) for recipient in letter.recipients]

    def broken(self, home):
        """Promises that do not hold, asked of the running server; and duplicates that have their flag."""
        held = {row["ref"]: row["state"] for row in house.Control(home).held()}
        wrong, flagged = [], 0
        for letter in self.all():
            found, marked = self.judge(letter, held)
            wrong += [f"{letter.name} ({letter.kind}, {letter.state}, {letter.tries} tries): {one}" for one in found]
            flagged += marked
        return wrong, flagged

    def judge(self, letter, held):
        wrong, flagged = [], 0
        if letter.state == "sent" and letter.reference in held:
            letter.state = "held"  # The answer to a repetition names the first one's ref.
        copies = self.copies(letter)
        least, most = min(map(len, copies)), max(map(len, copies))
        if letter.state == "sent" and least < 1:
            wrong.append("LOST: it got 250 and is not at the sink")
        if letter.state == "held":
            state = held.get(letter.reference)
            if least < 1 and state != "held":
                wrong.append(f"LOST: it got 250, ref={letter.reference}, is not at the sink, and custody says {state}")
            if letter.released == 2 and least < 1:
                wrong.append(f"LOST: it was released and is not at the sink; custody says {state}")
            if most and not letter.released:
                wrong.append("it is held, nobody released it, and it is at the sink")
        if letter.state == "refused" and most and not letter.in_doubt:
            wrong.append("it was refused and is at the sink")
        if most > 1:
            marks = [b"retry-of=" in trace(mail) for mail in max(copies, key=len)]
            if marks.count(False) > 1:
                how = ", a release of it was cut off" if letter.released_in_doubt else ""
                wrong.append(f"DUPLICATE without a flag: {most} copies, {marks.count(True)} flagged{how}: {[trace(mail) for mail in max(copies, key=len)]}")
            else:
                flagged = 1
        for mails in copies:
            wrong += ["its octets changed" for mail in mails if not mail.message.endswith(letter.octets)]
        return wrong, flagged

    def settle(self, home, address):
        """The end of a directory: everything is unblocked, sent again until it has its answer, and released."""
        control = house.Control(home)
        control.order(f"/v1/accounts/{GLOBEX}/unblock", {})
        wrong, until = [], time.monotonic() + 60
        while self.open_letters() and time.monotonic() < until:
            load = Load(address, self, 8, retries_only=True)
            load.finish()
            wrong += load.strange
        wrong += [f"{letter.name}: no final answer in 60 s, {letter.tries} tries" for letter in self.open_letters()]
        held = control.held()
        for row in [row for row in held if row["state"] == "held"]:
            status, said = control.order(f"/v1/held/{row['ref']}/release")
            if status != 200:
                wrong.append(f"{row['ref']} cannot be released: {status} {said.get('detail')}")
        references = {row["ref"] for row in held}
        for letter in self.all():
            letter.released = 2 if letter.reference in references else letter.released
        return wrong


def trace(mail):
    """Our field of a message that arrived."""
    found = TRACE.search(mail.message.partition(b"\r\n\r\n")[0])
    return found[1] if found else b""
