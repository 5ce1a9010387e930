"""What the kernel says about a process and its connections."""

import os
import resource
import shutil
import socket
import struct
import time


def status(pid, field):
    """A field of /proc/PID/status in KiB, such as VmRSS or VmHWM."""
    with open(f"/proc/{pid}/status", encoding="ascii") as file:
        return next((int(line.split()[1]) for line in file if line.startswith(f"{field}:")), 0)


def forget_peak(pid):
    """VmHWM counts from now on."""
    with open(f"/proc/{pid}/clear_refs", "w", encoding="ascii") as file:
        file.write("5")


def cpu_seconds(pid):
    """User and system time so far."""
    with open(f"/proc/{pid}/stat", encoding="ascii") as file:
        fields = file.read().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def machine_seconds():
    """What all processors of this machine have worked so far, at whatever, and how many they are."""
    with open("/proc/stat", encoding="ascii") as file:
        fields = [int(field) for field in file.readline().split()[1:]]
    return (sum(fields[:3]) + sum(fields[5:8])) / os.sysconf("SC_CLK_TCK"), os.cpu_count()


def is_there(pid):
    """Whether the process lives."""
    try:
        with open(f"/proc/{pid}/stat", encoding="ascii") as file:
            return file.read().rpartition(")")[2].split()[0] not in "ZX"
    except OSError:
        return False


def tracer(pid):
    """The process id of the strace that traces a process, or 0."""
    with open(f"/proc/{pid}/status", encoding="ascii") as file:
        return next((int(line.split()[1]) for line in file if line.startswith("TracerPid:")), 0)


def more_files(count):
    """Raises this process's limit of open files; how many it may have."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if hard != resource.RLIM_INFINITY and hard < count and os.geteuid() == 0:
        resource.setrlimit(resource.RLIMIT_NOFILE, (count, count))
        return count
    wanted = count if hard == resource.RLIM_INFINITY else min(count, hard)
    resource.setrlimit(resource.RLIMIT_NOFILE, (max(soft, wanted), hard))
    return max(soft, wanted)


def strace_missing():
    """Why strace cannot be used, or nothing."""
    return "" if shutil.which("strace") else "strace is not installed (Debian: apt-get install strace)"


class Receiver:
    """The far end of one of our connections over loopback, as the kernel sees it: how much it has not read yet."""

    REQUEST = struct.Struct("!BBBB")

    def __init__(self, connection):
        self.ours, self.theirs = connection.getsockname(), connection.getpeername()
        self.netlink = None
        try:
            self.netlink = socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, 4)  # NETLINK_SOCK_DIAG
            self.netlink.settimeout(1)
            self.unread()
        except OSError:
            self.netlink = None  # Not every kernel has it.

    def unread(self):
        """Octets that have arrived and were not read; None when the connection is gone."""
        ports = struct.pack("!HH", self.theirs[1], self.ours[1])
        hosts = b"".join(socket.inet_aton(end[0]).ljust(16, b"\0") for end in (self.theirs, self.ours))
        identity = ports + hosts + struct.pack("=III", 0, 0xFFFFFFFF, 0xFFFFFFFF)
        body = struct.pack("=BBBBI", socket.AF_INET, socket.IPPROTO_TCP, 0, 0, 0xFFFFFFFF) + identity
        self.netlink.send(struct.pack("=IHHII", 16 + len(body), 20, 1, 1, 0) + body)
        answer = self.netlink.recv(4096)
        if struct.unpack_from("=IHH", answer)[1] == 2:  # NLMSG_ERROR
            return None
        return struct.unpack_from("=I", answer, 16 + 4 + 48 + 4)[0]

    def wait(self, seconds=2):
        """Waits until everything that was sent has been read; without the kernel's help, a moment."""
        if self.netlink is None:
            time.sleep(0.003)
            return
        until = time.monotonic() + seconds
        while self.unread() and time.monotonic() < until:
            time.sleep(0.0002)

    def close(self):
        if self.netlink is not None:
            self.netlink.close()
