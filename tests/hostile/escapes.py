"""A handler that tries to get out from behind its wall, in the way that its question names. Not to be run by anything but the test beside it."""
# /// script
# [tool.nectar]
# sandbox_tmp = "16MiB"
# sandbox_processes = 48
# ///

import ctypes
import errno
import fcntl
import json
import os
import platform
import pty
import resource
import signal
import socket
import stat
import sys
import termios
import time

import nectar
from nectar import Computation, handler

LIBC = ctypes.CDLL(None, use_errno=True)
X86 = platform.machine() == "x86_64"
NEW_NS, NEW_USER, NEW_NET = 0x20000, 0x10000000, 0x40000000


class Denied(Exception):
    pass


@handler
def escape(comp: Computation) -> int:
    """Each try has a process of its own, so that what it has done to itself harms no other.

    :returns: 1 where it succeeded.
    """
    told = json.loads(comp.query)
    reading, writing = os.pipe()
    child = os.fork()
    if child == 0:
        os.close(reading)
        signal.alarm(20)
        os.write(writing, outcome_of(told).encode())
        os._exit(0)
    os.close(writing)
    said = b""
    while piece := os.read(reading, 4096):
        said += piece
    os.close(reading)
    os.waitpid(child, 0)
    if said != b"done":
        raise Denied(said.decode() or "no word")
    return 1


def outcome_of(told):
    try:
        TRIES[told["try"]](told)
    except OSError as error:
        return errno.errorcode.get(error.errno, str(error))
    except LookupError as error:
        return str(error.args[0])
    except ValueError as error:  # with which the library tells of a limit that may not be raised
        return "EPERM" if "not allowed to raise" in str(error) else str(error)
    except BaseException as error:
        return f"{type(error).__name__}: {error}"
    return "done"


def call(x86, arm, *arguments):
    """A system call, which no library stands before."""
    result = LIBC.syscall(x86 if X86 else arm, *(ctypes.c_long(each) if isinstance(each, int) else each for each in arguments))
    if result < 0:
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number))
    return result


def share_memory(told):
    """Of System V's kind, which the test has made."""
    size, flags = 0, 0
    found(call(29, 194, told["segment"], size, flags) >= 0)


def found(what, why="nothing"):
    """What a try is about is there, or else there is nothing of it."""
    if not what:
        raise LookupError(why)


def read(place):
    """Read what is at a place of the test's: a file, or the names in a directory."""

    def attempt(told):
        path = told[place]
        found(os.listdir(path) if os.path.isdir(path) else open(path, "rb").read(1))

    return attempt


def write(place):
    """Open what is at a place of the test's to be written; nothing is changed."""
    return lambda told: os.close(os.open(told[place], os.O_WRONLY | os.O_APPEND))


def make(place, name="made by a handler"):
    """Make a file in a directory, and leave it there: who made the test looks for it."""
    return lambda told: os.close(os.open(f"{told[place]}/{name}", os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600))


def of_root(path, flags=os.O_RDONLY):
    return lambda told: os.close(os.open(path, flags))


def answer_for(told):
    """Answer another node's question."""
    with open(f"{told['node']}/forged.complete", "x") as file:
        json.dump({"comp_id": "forged"}, file)


def read_by_link(told):
    """A link in its own directory, which its author has put there: what it leads to could have come along when it was built."""
    try:
        import leak
    except ImportError:
        raise LookupError("nothing") from None
    found(leak.KEY)


def list_home(told):
    found("note" in os.listdir(told["home"]))


def read_users(told):
    found(len(open("/etc/passwd").readlines()) > 1)


def read_daemon(name):
    """Something of the daemon that ``/proc`` tells."""
    return lambda told: found(open(f"/proc/{told['daemon']}/{name}", "rb").read(1))


def read_first(told):
    """By way of the first process's root."""
    found(open("/proc/1/root" + told["secret"], "rb").read(1))


def first_s_memory(told):
    """With which that of a wall could be made to go on when its daemon is killed."""
    for path in ("/proc/1/mem", "/proc/1/task/1/mem"):
        open(path, "r+b", buffering=0).close()


def first_s_variables(told):
    """The variables of the machine's first process, which the test has looked at, too."""
    seen = open("/proc/1/environ", "rb").read()
    found(seen and b"NECTAR_WORKER" not in seen)


def find_daemon(told):
    """Whatever runs a handler, by its command line."""
    for pid in os.listdir("/proc"):
        try:
            if open(f"/proc/{pid}/cmdline", "rb").read().endswith(b"\0daemon\0"):
                return
        except OSError:  # it is no process, or has ended
            pass
    raise LookupError("nothing")


def look_at_hosts_name(told):
    found(os.uname().nodename == told["host"])


def look_at_interfaces(told):
    found([name for _, name in socket.if_nameindex() if name != "lo"])


def other_environments(told):
    found([name for name in os.listdir(told["environments"]) if os.path.join(told["environments"], name) != sys.prefix])


def devices(told):
    known = {"core", "fd", "full", "null", "ptmx", "pts", "random", "shm", "stderr", "stdin", "stdout", "tty", "urandom", "zero"}
    found(set(os.listdir("/dev")) - known)


def descriptors(told):
    """A directory, or a file, that somebody has left open."""
    for name in os.listdir("/proc/self/fd"):
        try:
            kind = os.fstat(int(name)).st_mode
        except OSError:
            continue
        if stat.S_ISDIR(kind) or (stat.S_ISREG(kind) and os.readlink(f"/proc/self/fd/{name}").startswith("/")):
            return
    raise LookupError("nothing")


def link_out(told):
    """A second name for a file that is not ours to write, in a directory that is."""
    name = f"/tmp/second name {os.getpid()}"
    os.link(f"{sys.prefix}/pyvenv.cfg", name)
    os.unlink(name)


def change_mode(told):
    os.chmod(f"{sys.prefix}/pyvenv.cfg", os.stat(f"{sys.prefix}/pyvenv.cfg").st_mode & 0o7777)


def remove_log(told):
    os.rename(told["log"], told["log"] + ".away")
    os.rename(told["log"] + ".away", told["log"])


def set_user(told):
    """A program that runs as whoever it belongs to, in a directory that may be written."""
    path = f"{told['granted']}/program"
    try:
        with open(path, "x"):
            os.chmod(path, 0o4755)
    finally:
        os.unlink(path)


def make_set_user(told):
    """The same at once, with a group's, too."""
    path = f"{told['granted']}/another"
    os.close(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o6755))
    os.unlink(path)


def follow(told):
    """A link to a secret, in a directory that may be written."""
    path = f"{told['granted']}/link"
    os.symlink(told["secret"], path)
    try:
        found(open(path).read())
    finally:
        os.unlink(path)


def move_granted(told):
    """The directory itself out of the way: what is put in its place is what the next worker would be given."""
    os.rename(told["granted"], told["granted"] + ".away")
    os.rename(told["granted"] + ".away", told["granted"])


# --- network


def connect(kind, family=socket.AF_INET):
    """Connect to something that listens outside, and hear from it."""

    def attempt(told):
        with socket.socket(family, socket.SOCK_STREAM) as talk:
            talk.settimeout(5)
            address = told[kind]
            talk.connect(tuple(address) if isinstance(address, list) else "\0" + address[1:] if address[0] == "@" else address)
            found(talk.recv(1))

    return attempt


def command_daemon(told):
    """Have the daemon say how it is, as ``view`` does."""
    with socket.socket(socket.AF_UNIX) as talk:
        talk.settimeout(5)
        talk.connect(told["control"])
        talk.send(b'{"schema": 1, "do": "status"}\n')
        found(talk.recv(1))


def datagram(told):
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as talk:
        talk.settimeout(5)
        talk.connect(tuple(told["udp"]))
        talk.send(b"the query")
        found(talk.recv(1))


def far(kind):
    """An address that is nobody's, by way of whatever leads out of the machine; nothing is waited for."""

    def attempt(told):
        with socket.socket(socket.AF_INET, kind) as talk:
            talk.setblocking(False)
            try:
                talk.connect(("192.0.2.1", 9))
            except BlockingIOError:
                pass
            if kind == socket.SOCK_DGRAM:
                talk.send(b"the query")

    return attempt


def resolve(told):
    """Ask whom the machine asks for names."""
    servers = [line.split()[1] for line in open("/etc/resolv.conf") if line.startswith("nameserver")]
    found(servers)
    with socket.socket(socket.AF_INET6 if ":" in servers[0] else socket.AF_INET, socket.SOCK_DGRAM) as talk:
        talk.connect((servers[0], 53))
        talk.send(b"the query")


def raw_socket(told):
    socket.socket(socket.AF_INET, socket.SOCK_RAW, socket.IPPROTO_ICMP).close()


def of_family(number, kind=socket.SOCK_STREAM):
    """A socket of a family that has no namespaces, or that sees all packets."""
    return lambda told: socket.socket(number, kind).close()


# --- processes


def kill(told):
    """Without a signal: it only asks whether there could be one."""
    os.kill(told["daemon"], 0)


def hold_process(told):
    os.close(os.pidfd_open(told["daemon"]))


def slow_down(told):
    os.setpriority(os.PRIO_PROCESS, told["daemon"], os.getpriority(os.PRIO_PROCESS, told["daemon"]))


def take_limits(told):
    resource.prlimit(told["daemon"], resource.RLIMIT_NOFILE)


def trace(told):
    """PTRACE_SEIZE, which does not stop it; it ends with this process."""
    call(101, 117, 0x4206, told["daemon"], 0, 0)


def read_memory(told):
    """The first bytes of what it has mapped first."""
    try:
        begin = int(open(f"/proc/{told['daemon']}/maps").read().partition("-")[0], 16)
    except OSError:
        begin = 0x400000
    kept = ctypes.create_string_buffer(8)
    ours = (ctypes.c_size_t * 2)(ctypes.addressof(kept), 8)
    theirs = (ctypes.c_size_t * 2)(begin, 8)
    call(310, 270, told["daemon"], ctypes.byref(ours), 1, ctypes.byref(theirs), 1, 0)


# --- the kernel


def mount(told):
    """Over a directory of the test's: who else is on the machine sees it too, where it succeeds."""
    place = told["temporary_directory"].encode()
    call(165, 40, b"none", place, b"tmpfs", 0, None)
    call(166, 39, place, 2)


def mount_writable(told):
    """Its environment, as what can be written: a new place for it, and then what is there once more."""
    place = sys.prefix.encode()
    call(165, 40, place, place, None, 4096, None)
    try:
        call(165, 40, None, place, None, 4096 | 32, None)
    finally:
        call(166, 39, place, 2)


def open_tree(told):
    os.close(call(428, 428, -100, b"/", 1))


def unmount(told):
    """What hides something, off. With nothing mounted there it is no more than a question."""
    try:
        call(166, 39, told["directory"].encode(), 2)
    except OSError as error:
        if error.errno != errno.EINVAL:  # it could have, and nothing is mounted
            raise


def unshare(flags):
    return lambda told: call(272, 97, flags)


def clone(told):
    """A child in a user namespace of its own."""
    pid = call(56, 220, NEW_USER | signal.SIGCHLD, 0, 0, 0, 0)
    if pid == 0:
        os._exit(0)
    os.waitpid(pid, 0)


def enter(told):
    """The namespace of the daemon's mounts, or, where it is not to be seen, that of the first process."""
    daemon = f"/proc/{told['daemon']}/ns/mnt"
    with open(daemon if os.path.exists(daemon) else "/proc/1/ns/mnt") as there:
        call(308, 268, there.fileno(), NEW_NS)


def change_root(told):
    os.chroot("/")


def handle(told):
    """A file by its handle, which knows no directories above it."""
    kept = (ctypes.c_uint * 34)(128)
    mounted = ctypes.c_int()
    call(303, 264, -100, b"/usr", ctypes.byref(kept), ctypes.byref(mounted), 0)


def make_device(told):
    """The machine's first disk, or what would be, under a name of our own."""
    name = f"/tmp/disk {os.getpid()}"
    os.mknod(name, 0o600 | stat.S_IFBLK, os.makedev(8, 0))
    os.unlink(name)


def ring(number, arm):
    """The keys of whoever logged in, or new ones."""
    words = {250: (0, -3, 1), 248: (b"user", b"nectar-escapes", b"x", 1, -2), 249: (b"user", b"nectar-escapes", None, 0)}

    def attempt(told):
        try:
            call(number, arm, *words[number])
        except OSError as error:
            if error.errno != errno.ENOKEY:  # it was looked for, and there is none of that name
                raise

    return attempt


def look_for_keys(told):
    found(open("/proc/keys").read(1))


def bpf(told):
    """A map of one number."""
    kept = (ctypes.c_uint * 32)(2, 4, 4, 1)
    os.close(call(321, 280, 0, ctypes.byref(kept), 128))


def perf(told):
    kept = (ctypes.c_uint * 32)(1, 128)  # a clock, of this process
    os.close(call(298, 241, ctypes.byref(kept), 0, -1, -1, 0))


def faults(told):
    os.close(call(323, 282, os.O_CLOEXEC))


def io_ring(told):
    kept = (ctypes.c_uint * 30)()
    os.close(call(425, 425, 1, ctypes.byref(kept)))


def take_lease(told):
    """On a file that belongs to who launched the handler."""
    file = os.open(f"{sys.prefix}/pyvenv.cfg", os.O_RDONLY)
    fcntl.fcntl(file, fcntl.F_SETLEASE, fcntl.F_WRLCK)
    fcntl.fcntl(file, fcntl.F_SETLEASE, fcntl.F_UNLCK)
    os.close(file)


def watch_programs(told):
    libc = ctypes.CDLL(None, use_errno=True)
    watcher = libc.inotify_init1(os.O_CLOEXEC)
    if watcher < 0 or libc.inotify_add_watch(watcher, b"/usr/bin", 0x20) < 0:
        raise OSError(ctypes.get_errno(), "")
    os.close(watcher)


def type_into_terminal(told):
    """Into whatever terminal there is, or, where there is none, into one of our own: then it is the call that is tried."""
    try:
        master, slave = pty.openpty()
    except OSError:
        master = slave = 0
    else:
        os.setsid()
        fcntl.ioctl(slave, termios.TIOCSCTTY, 0)
    fcntl.ioctl(slave, termios.TIOCSTI, b"x")


def own_terminal(told):
    os.close(os.open("/dev/ptmx", os.O_RDWR))


def dump_core(told):
    resource.setrlimit(resource.RLIMIT_CORE, (resource.RLIM_INFINITY,) * 2)


def privileges(told):
    """What would come of starting a program that is another user's: PR_GET_NO_NEW_PRIVS."""
    found(LIBC.prctl(39, 0, 0, 0, 0) == 0)


def become_root(told):
    os.setresuid(0, 0, 0)
    found(open("/proc/self/uid_map").read().split()[2] != "1")


def name_host(told):
    socket.sethostname(told["host"])


def kernel_log(told):
    found(call(103, 116, 10, None, 0))


# --- limits


def fill(place):
    """More than a directory may hold; it is taken away again."""

    def attempt(told):
        path = f"{place}/full-{os.getpid()}"
        try:
            with open(path, "xb", buffering=0) as file:
                for _ in range(24):
                    if file.write(bytes(1 << 20)) < 1 << 20:
                        file.write(b"x")
        finally:
            os.unlink(path)

    return attempt


def fork(told):
    """Far more processes than there may be, for longer than a look at them takes."""
    children = []
    try:
        for _ in range(80):
            pid = os.fork()
            if pid == 0:
                time.sleep(60)
                os._exit(0)
            children.append(pid)
        time.sleep(2.5)
    finally:
        for pid in children:
            os.kill(pid, signal.SIGKILL)
            os.waitpid(pid, 0)


def end_daemon(told):
    """The last thing that is tried: a process that nobody knows of, and then nobody who could end it."""
    stay(told, "free")
    os.kill(told["daemon"], signal.SIGKILL)


def stay(told, how="stays"):
    """A process that goes on after the stop: in a session of its own, whose parent is gone, with no variable that would tell whose it is."""
    if os.fork() == 0:
        os.setsid()
        if os.fork() == 0:
            for descriptor in range(256):
                try:
                    os.close(descriptor)
                except OSError:
                    pass
            os.execve(sys.executable, [sys.executable, "-c", "import time; time.sleep(600)", f"{told['mark']}-{how}"], {})
        os._exit(0)
    os.wait()


TRIES = {
    # What is there to be read.
    "read a file in the home": read("note"),
    "read a key in `~/.ssh`": read("key"),
    "list the home": list_home,
    "read `/etc/shadow`": of_root("/etc/shadow"),
    "list the machine's users": read_users,
    "read a file beside its own source": read("beside"),
    "have a secret come along by a link in its source": read_by_link,
    "read another handler's source": read("other_source"),
    "read another node's question": read("question"),
    "read its own node's directory": read("own"),
    "read the registry": read("registry"),
    "read another handler's variables": read("variables"),
    "read its own log": read("log"),
    "list the logs": read("logs"),
    "list uv's cache": read("uv"),
    "see another handler's environment": other_environments,
    "read a file in the machine's `/tmp`": read("temporary"),
    "read a file in the machine's `/dev/shm`": read("shared"),
    "list `/var`": lambda told: found(os.listdir("/var")),
    "list `/run`": lambda told: found(os.listdir("/run")),
    "list `/sys`": lambda told: found(os.listdir("/sys")),
    "list the machine's devices": devices,
    "open a terminal": own_terminal,
    "read `/proc/1/environ`": first_s_variables,
    "read through `/proc/1/root`": read_first,
    "open the memory of the first process, to write": first_s_memory,
    "read the daemon's variables": read_daemon("environ"),
    "find the daemon in `/proc`": find_daemon,
    "find memory that others share": share_memory,
    "learn the machine's name": look_at_hosts_name,
    "read the kernel's log": kernel_log,
    "use a descriptor that was left open": descriptors,
    # What is there to be written.
    "write its environment": lambda told: os.close(os.open(f"{sys.prefix}/pyvenv.cfg", os.O_WRONLY | os.O_APPEND)),
    "change the mode of a file there": change_mode,
    "give a file there a second name": link_out,
    "write nectar's side of it": lambda told: os.close(os.open(nectar.__file__, os.O_WRONLY | os.O_APPEND)),
    "write its own source": write("source"),
    "make a file beside its source": make("directory"),
    "make a file in the home": make("home"),
    "make a file in the machine's `/tmp`": make("temporary_directory"),
    "make a file in the machine's `/dev/shm`": make("shared_directory"),
    "make a file in uv's cache": make("uv"),
    "answer another node's question": answer_for,
    "write the registry": write("registry"),
    "move its log away": remove_log,
    "make a program in a granted directory that runs as the operator": set_user,
    "make one with that mode at once": make_set_user,
    "follow a link from a granted directory": follow,
    "put something else in a granted directory's place": move_granted,
    "write the machine's programs": of_root("/usr/bin/tsort", os.O_RDWR),  # one that nothing runs: a busy one is refused as that
    "write a setting of the kernel's": of_root("/proc/sys/kernel/core_pattern", os.O_WRONLY),
    # Whom it can talk to.
    "connect to a service on the machine's loopback": connect("tcp"),
    "send to one, by UDP": datagram,
    "connect to an abstract socket": connect("abstract", socket.AF_UNIX),
    "connect to a socket in the machine's `/tmp`": connect("socket", socket.AF_UNIX),
    "connect to the daemon's control socket": command_daemon,
    "connect to an address far away": far(socket.SOCK_STREAM),
    "send to one far away, by UDP": far(socket.SOCK_DGRAM),
    "ask for a name, by DNS": resolve,
    "see the machine's interfaces": look_at_interfaces,
    "make a raw socket": raw_socket,
    "see all packets": of_family(17, socket.SOCK_RAW),
    "talk to virtual machines": of_family(40),
    "have the kernel encrypt": of_family(38, socket.SOCK_SEQPACKET),
    # What it can do to processes.
    "signal the daemon": kill,
    "hold the daemon by a pidfd": hold_process,
    "trace the daemon": trace,
    "read the daemon's memory": read_memory,
    "open the daemon's memory": read_daemon("maps"),
    "change the daemon's priority": slow_down,
    "see the daemon's limits": take_limits,
    # What it can do with the kernel.
    "mount": mount,
    "have its environment mounted to be written": mount_writable,
    "unmount": unmount,
    "take hold of a tree of mounts": open_tree,
    "change the root": change_root,
    "make a user namespace": unshare(NEW_USER),
    "make a mount namespace": unshare(NEW_NS),
    "make a network namespace": unshare(NEW_NET),
    "make a child in a user namespace": clone,
    "enter another namespace": enter,
    "find a file by its handle": handle,
    "make a device": make_device,
    "see its session's keys": ring(250, 219),
    "add a key": ring(248, 217),
    "request a key": ring(249, 218),
    "list the keys": look_for_keys,
    "load a program into the kernel": bpf,
    "count events of the processor": perf,
    "handle page faults": faults,
    "make an io_uring": io_ring,
    "have whoever opens a file wait": take_lease,
    "learn who opens the machine's programs": watch_programs,
    "type into a terminal": type_into_terminal,
    "leave a picture of its memory": dump_core,
    "gain privileges by a program": privileges,
    "become root": become_root,
    "name the machine": name_host,
    # What there is an end of.
    "fill `/tmp`": fill("/tmp"),
    "fill `/dev/shm`": fill("/dev/shm"),
    "fork without end": fork,
    "go on after the stop": stay,
    "end the daemon, and go on": end_daemon,
}
