"""Cases of a tool: run one after the other, each with a line in a log, so that a run that was broken off goes on.

A case is a name and a function that returns a dict of figures; `wrong` in it, a list of sentences, makes it a failure.
"""

import json
import signal
import sys
import time
import traceback


class Skipped(Exception):
    """A case cannot run here; why."""


class Cases:
    """The cases of one run. `log` has a JSON line for each finished one; those are not run again."""

    def __init__(self, log, again=False):
        self.log = log
        # Ended from outside, it still ends what it started.
        signal.signal(signal.SIGTERM, lambda *_: sys.exit("ended by SIGTERM"))
        self.log.parent.mkdir(parents=True, exist_ok=True)
        if again:
            self.log.unlink(missing_ok=True)
        self.done = {line["case"]: line for line in self.lines()}
        self.passed = sum(not line["wrong"] and "skipped" not in line for line in self.done.values())
        self.skipped = sum("skipped" in line for line in self.done.values())
        self.failed = len(self.done) - self.passed - self.skipped
        if self.done:
            print(f"{self.log}: {len(self.done)} cases are done already", flush=True)

    def lines(self):
        """Finished cases; the last line may be half a one."""
        for line in self.log.read_text().splitlines() if self.log.exists() else []:
            try:
                yield json.loads(line)
            except ValueError:
                continue

    def run(self, name, function, *arguments):
        """Runs a case unless it is done; whether it passed."""
        if name in self.done:
            return not self.done[name]["wrong"]
        began, line = time.monotonic(), {"case": name, "wrong": []}
        try:
            line |= function(*arguments) or {}
        except Skipped as why:
            line["skipped"] = str(why)
        except Exception as error:  # A case that breaks is a failure with a name, not the end of the run.
            if not isinstance(error, (RuntimeError, OSError)):
                traceback.print_exc()  # A mistake of the tool rather than of what it measures.
            line["wrong"] = [f"{type(error).__name__}: {error}"]
        line["seconds"] = round(time.monotonic() - began, 2)
        with self.log.open("a") as log:
            log.write(json.dumps(line) + "\n")
        return self.count(line)

    def count(self, line):
        self.done[line["case"]] = line
        self.skipped += "skipped" in line
        self.failed += bool(line["wrong"])
        self.passed += not line["wrong"] and "skipped" not in line
        tell(line)
        return not line["wrong"]

    def end(self):
        """The last line; ends the program."""
        if self.skipped:
            print(f"{self.skipped} skipped")
        print(f"{self.passed} passed, {self.failed} failed")
        sys.exit(1 if self.failed else 0)


def tell(line):
    """One line for a case, and one for each thing that is wrong with it."""
    progress("")
    verdict = "skipped" if "skipped" in line else "FAILED" if line["wrong"] else "ok"
    figures = [f"{key} {value}" for key, value in line.items() if key not in ("case", "wrong", "skipped", "log")]
    print(f"{verdict:7} {line['case']}: {line.get('skipped') or ', '.join(figures)}", flush=True)
    for wrong in line["wrong"][:10]:
        print(f"        {wrong}", flush=True)
    if len(line["wrong"]) > 10:
        print(f"        and {len(line['wrong']) - 10} more", flush=True)


def progress(text):
    """What goes on, on a terminal only; the next one takes its place."""
    if sys.stderr.isatty():
        print(f"\r\033[K{text[:150]}", end="", file=sys.stderr, flush=True)


def percentile(values, share):
    """The value below which this share lies; None of nothing."""
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, int(len(ordered) * share))] if ordered else None
