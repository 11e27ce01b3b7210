"""A handler that harms whom it can, in the way that its question names. Not to be run by anything but the tests beside it."""

import atexit
import builtins
import ctypes
import faulthandler
import gc
import json
import operator
import os
import resource
import signal
import socket
import struct
import subprocess
import sys
import threading
import time

from nectar import Computation, handler

HERE = os.environ.get("HERE", "")
KEPT = []
LOADED = time.monotonic_ns()


def note(what: str) -> None:
    """When something happens, for who measures."""
    file = os.open(os.environ["NOTES"], os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
    os.write(file, f"{time.time()} {what}\n".encode())
    os.close(file)


note("load")


@handler
def villain(comp: Computation) -> int:
    word, _, rest = comp.query.partition(" ")
    return WAYS[word](rest)


def number(text):
    return int(text)


def sleep(text):
    time.sleep(float(text))
    return 1


def loaded(_):
    """Which worker this is: behind a wall, all have the same PID."""
    return LOADED


def neighbour(text):
    """A run that needs a process of its own to live, which is an orphan by then."""
    reading, writing = os.pipe()
    if os.fork() == 0:
        if os.fork() == 0:
            os.close(reading)
            time.sleep(float(text))
            os.write(writing, b"7")
        os._exit(0)
    os.close(writing)
    os.wait()
    note("neighbour")
    return 1 if os.read(reading, 1) == b"7" else 0


def mark(_):
    note("mark")
    return 1


# --- deaths


def dying(way):
    def die(text):
        note("die")
        return way(text)

    return die


def segfault(_):
    return len(ctypes.string_at(0))  # this line is in the log


def segfault_in_thread(_):
    thread = threading.Thread(target=ctypes.string_at, args=(0,))
    thread.start()
    thread.join()
    return 1


def bus_error(_):
    os.kill(os.getpid(), signal.SIGBUS)
    return 1


def abort(_):
    os.abort()


def leave(text):
    os._exit(int(text))


def kill(text):
    os.kill(os.getpid(), getattr(signal, text))
    time.sleep(60)
    return 1


def kill_group(_):
    os.kill(0, signal.SIGKILL)
    return 1


def deep(_):
    sys.setrecursionlimit(10**9)
    threading.stack_size()

    class Deep:
        def __getattr__(self, name):
            return getattr(self, name + "x")

    return ctypes.CFUNCTYPE(ctypes.c_int)(lambda: deep_native(10**9))()


def deep_native(left):
    return ctypes.CFUNCTYPE(ctypes.c_int)(lambda: deep_native(left - 1))()


def lose_channel(_):
    os.closerange(3, 4096)
    return 1


def lose_channel_to_another(_):
    """Our number is somebody else's connection by now."""
    os.closerange(3, 4096)
    KEPT.extend(socket.socketpair() for _ in range(8))
    return 1


def alarm_now(_):
    signal.setitimer(signal.ITIMER_REAL, 0.001)
    time.sleep(60)
    return 1


# --- hangs


def spin(_):
    while True:
        pass


def native(_):
    ctypes.PyDLL(None).sleep(3600)  # holds the interpreter's lock
    return 1


def stubborn(_):
    for number_ in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP, signal.SIGALRM, signal.SIGCHLD):
        signal.signal(number_, signal.SIG_IGN)
    signal.pthread_sigmask(signal.SIG_BLOCK, set(signal.Signals))
    time.sleep(3600)
    return 1


def stopped(_):
    os.kill(os.getpid(), signal.SIGSTOP)
    return 1


def asleep(*, session=False, bare=False, pipes=True):
    quiet = {} if pipes else dict.fromkeys(("stdin", "stdout", "stderr"), subprocess.DEVNULL)
    environment = {"env": {}} if bare else {}
    subprocess.Popen(
        [sys.executable, "-c", "import time; time.sleep(3600)", HERE], start_new_session=session, **environment, **quiet
    )


def with_children(_):
    for session in (False, True):
        for pipes in (False, True):
            asleep(session=session, pipes=pipes)
    time.sleep(3600)
    return 1


def with_nameless_children(_):
    """In a session of their own, without our mark, and orphans at that."""
    if os.fork() == 0:
        os.setsid()
        for _number in range(3):
            asleep(session=True, bare=True, pipes=False)
        os._exit(0)
    time.sleep(3600)
    return 1


def with_forks(_):
    for _number in range(5):
        if os.fork() == 0:
            os.setsid()
            if os.fork() == 0:
                time.sleep(3600)
            os._exit(0)
    time.sleep(3600)
    return 1


def with_channel_held(_):
    if os.fork() == 0:
        os.setsid()
        time.sleep(3600)
    while True:
        pass


def forking_on(_):
    """Each child makes the next one and goes."""
    if os.fork() == 0:
        os.setsid()
        end = time.monotonic() + 30
        while time.monotonic() < end:
            time.sleep(0.002)
            if os.fork():
                os._exit(0)
            os.setsid()
        os._exit(0)
    time.sleep(3600)
    return 1


def in_another_group(_):
    asleep()
    if os.fork() == 0:
        for _number in range(2):
            asleep()
        os.setpgid(0, 0)
        time.sleep(3600)
    time.sleep(3600)
    return 1


def in_thread(_):
    threading.Thread(target=time.sleep, args=(3600,)).start()
    threading.Event().wait()
    return 1


def in_flush(_):
    class Stuck:
        def write(self, _text):
            return 0

        def flush(self):
            time.sleep(3600)

    sys.stdout = Stuck()
    return 1


def in_index(_):
    class Stuck:
        def __index__(self):
            time.sleep(3600)

    return Stuck()


def in_error(_):
    class StuckError(Exception):
        def __str__(self):
            time.sleep(3600)

    raise StuckError


def no_death_signal(_):
    ctypes.CDLL(None).prctl(1, 0, 0, 0, 0)
    time.sleep(3600)
    return 1


def full_pipe(_):
    os.set_blocking(1, True)
    while True:
        os.write(1, b"y" * 65536)


# --- capers: what is done, and that it comes back


def speak(text):
    for _number in range(int(text)):
        os.write(1, b"x" * 999_999 + b"\n")
    return 1


def chatter(text):
    for _number in range(int(text)):
        os.write(2, b"a line\n" * 10_000)
    return 1


def unended(text):
    os.write(1, b"x" * int(text))
    return 1


def forged_lines(_):
    print("2026-01-01T00:00:00.000+00:00 INFO    - -: forged")
    print("a\r2026-01-01T00:00:00.000+00:00 INFO    - -: forged\x1b[2J\x9b31m\x00")
    os.write(2, b"\xff\xfe\x80\n")
    raise ValueError("a\n2026-01-01T00:00:00.000+00:00 INFO    - -: forged\x1b]0;title\x07")


def deaf(_):
    for stream in (sys.stdout, sys.stderr, sys.stdin):
        stream.close()
    for descriptor in (0, 1, 2):
        os.close(descriptor)
    return 1


def no_streams(_):
    sys.stdout = sys.stderr = sys.__stdout__ = sys.__stderr__ = None
    return 1


def wander(_):
    os.chdir("/")
    os.umask(0o777)
    return 1


def fork_and_return(_):
    os.fork()
    return 1


def fork_and_raise(_):
    if os.fork() == 0:
        raise SystemExit(3)
    return 1


def many_children(_):
    for _number in range(50):
        subprocess.Popen(["/bin/sleep", "3600"])
    return 1


def threads(_):
    for _number in range(20):
        threading.Thread(target=time.sleep, args=(3600,)).start()
    return 1


def talking_thread(_):
    def talk():
        while True:
            print("still here" * 100)

    threading.Thread(target=talk, daemon=True).start()
    return 1


def exit_politely(text):
    sys.exit(text or 0)


def interrupt(_):
    raise KeyboardInterrupt


def generator_exit(_):
    raise GeneratorExit


def patch_json(_):
    for name in ("dumps", "loads", "JSONEncoder", "JSONDecoder"):
        setattr(json, name, None)
    for name in ("encode", "iterencode", "default"):
        setattr(json.encoder.JSONEncoder, name, None)
    json.decoder.JSONDecoder.decode = json.decoder.JSONDecoder.raw_decode = None
    return 1


def patch_os(_):
    for name in ("rename", "replace", "write", "read", "open", "close", "_exit", "getpid", "fstat", "unlink"):
        setattr(os, name, None)
    return 1


def patch_builtins(_):
    for name in ("len", "isinstance", "type", "str", "int", "getattr", "hasattr", "bytes", "list", "ValueError", "OSError"):
        setattr(builtins, name, None)
    return 1


def patch_operator(_):
    operator.index = lambda _value: 666
    return 1


def patch_time(_):
    time.perf_counter = time.monotonic = time.time = lambda: "never"
    return 1


def patch_socket(_):
    for name in ("sendall", "send", "recv"):
        try:
            setattr(socket.socket, name, None)
        except TypeError:
            continue
    return 1


def patch_modules(_):
    for name in list(sys.modules):
        if name.startswith(("nectar", "json", "traceback", "struct")):
            del sys.modules[name]
    sys.path.clear()
    sys.meta_path.clear()
    return 1


def patch_struct(_):
    struct.pack = struct.unpack = struct.Struct = None
    return 1


def patch_traceback(_):
    import traceback

    traceback.TracebackException = None
    raise ValueError("without a traceback")


def signals(_):
    def handle(*_):
        raise RuntimeError("a signal")

    for name in ("SIGTERM", "SIGINT", "SIGHUP", "SIGUSR1", "SIGUSR2", "SIGCHLD", "SIGPIPE"):
        signal.signal(getattr(signal, name), handle)
    return 1


def alarm(_):
    signal.setitimer(signal.ITIMER_REAL, 0.01)
    return 1


def at_exit(_):
    atexit.register(time.sleep, 3600)
    atexit.register(os.kill, os.getppid(), 0)
    return 1


def slow_collector(_):
    class Stuck:
        def __del__(self):
            time.sleep(0.2)

    KEPT.append(Stuck())
    gc.disable()
    return 1


def tracing(_):
    def trace(*_):
        raise RuntimeError("a trace")

    threading.settrace(trace)
    sys.setprofile(lambda *_: None)
    return 1


def no_recursion(_):
    sys.setrecursionlimit(60)
    return 1


def few_digits(_):
    sys.set_int_max_str_digits(640)
    return 10**2000


def giant_text(_):
    return "x" * (1 << 28)


def giant_bytes(_):
    return bytearray(1 << 28)


def giant_number(_):
    return 1 << (1 << 28)


def giant_error(_):
    raise ValueError("x" * (64 << 20))


def giant_class(_):
    raise type("E" * 10_000_000, (Exception,), {})("m" * 10_000_000)


def giant_kind(_):
    return type("K" * 10_000_000, (), {})()


def astral_error(_):
    raise ValueError("\U0001f480" * 1_000_000)


def astral_traceback(_):
    names = {"Z" + "\U00010400" * 200: 1}
    source = "\n".join(f"def {name}():\n    raise ValueError('\U0001f480' * 100000)\n{name}()" for name in names)
    exec(compile(source, "\U0001f480" * 4000, "exec"), {})


def chained(_):
    try:
        raise ValueError("0")
    except ValueError as error:
        for number_ in range(1, 2000):
            new = ValueError(str(number_))
            new.__cause__ = error
            error = new
        raise error from error.__cause__


def circular(_):
    error = ValueError("circular")
    other = ValueError("other")
    error.__context__, other.__context__ = other, error
    raise error


def lying_error(_):
    class Text(str):
        def __format__(self, _spec):
            raise SystemExit(9)

        def __getitem__(self, _slice):
            raise SystemExit(9)

        def __bool__(self):
            raise SystemExit(9)

    class LyingError(Exception):
        def __str__(self):
            return Text("a lie")

    raise LyingError


def no_message(_):
    class SilentError(Exception):
        def __str__(self):
            raise SystemExit(9)

    raise SilentError


def lying_kind(_):
    class Meta(type):
        @property
        def __name__(cls):
            raise SystemExit(9)

        @property
        def __qualname__(cls):
            raise SystemExit(9)

        @property
        def __module__(cls):
            raise SystemExit(9)

    class Lying(metaclass=Meta):
        pass

    return Lying()


def lying_number(_):
    class Lying(int):
        def bit_length(self):
            return 1

        def __index__(self):
            return 1 << 100_000

        def __repr__(self):
            return '1, "status": "success"'

    return Lying(5)


def group(_):
    raise BaseExceptionGroup("many", [ValueError(str(number_)) for number_ in range(100)] + [SystemExit(1)])


def channel():
    return next(
        descriptor
        for descriptor in range(3, 64)
        if os.path.exists(f"/proc/self/fd/{descriptor}") and os.readlink(f"/proc/self/fd/{descriptor}").startswith("socket:")
    )


def frame(header, body=b"", *, size=None):
    raw = header if isinstance(header, bytes) else json.dumps(header).encode()
    return struct.pack("!II", len(raw), len(body) if size is None else size) + raw + body


def scribble(_):
    for descriptor in range(3, 64):
        try:
            os.write(descriptor, b"\0\0\0\x02\0\0\0\0{}" * 10)
        except OSError:
            continue
    return 1


def noise(_):
    os.write(channel(), os.urandom(65536))
    return 1


def endless_frame(_):
    os.write(channel(), frame({"do": "answer"}, size=(1 << 30) - 1))
    end = time.monotonic() + 0.5
    while time.monotonic() < end:
        os.write(channel(), b"\0" * 65536)
    return 1


def deep_frame(_):
    os.write(channel(), frame(b"[" * 100_000))
    return 1


def forged_answer(text):
    """An answer to a question that was not asked; or to ours, of a kind that cannot be."""
    fields = json.loads(text)
    os.write(
        channel(),
        frame({"do": "answer", "status": "success", "value": 1, "error": None, "traceback": None, "seconds": 0, **fields}),
    )
    return 1


def forged_ready(_):
    os.write(channel(), frame({"do": "ready", "warnings": ["x" * 1000] * 500}))
    return 1


def shut_channel(_):
    socket.socket(fileno=os.dup(channel())).shutdown(socket.SHUT_RDWR)
    return 1


def read_channel(_):
    os.set_blocking(channel(), False)
    return 1


def fork_and_scribble(_):
    if os.fork() == 0:
        os.setsid()
        end = time.monotonic() + 1
        while time.monotonic() < end:
            try:
                os.write(channel(), b"\0" * 1000)
            except (OSError, StopIteration):
                break
        os._exit(0)
    time.sleep(0.2)
    return 1


def no_room(_):
    resource.setrlimit(resource.RLIMIT_NOFILE, (3, 3))
    resource.setrlimit(resource.RLIMIT_FSIZE, (0, 0))
    return 1


def no_fault_handler(_):
    faulthandler.disable()
    return len(ctypes.string_at(0))


def move_group(_):
    """A session leader cannot leave it, but try."""
    try:
        os.setpgid(0, os.getpgid(os.getppid()))
    except OSError:
        pass
    return 1


def not_subreaped(_):
    ctypes.CDLL(None).prctl(36, 1, 0, 0, 0)
    for _number in range(3):
        if os.fork() == 0:
            os.setsid()
            asleep(session=True, bare=True, pipes=False)
            os._exit(0)
    return 1


def rename_self(_):
    ctypes.CDLL(None).prctl(15, b"a) Z 1 1", 0, 0, 0)
    return 1


def swallow_memory(text):
    note("swallow")
    KEPT.append(b"x" * int(text))
    time.sleep(30)
    return 1


def swallow_at_once(text):
    note("swallow")
    return len(bytearray(int(text))) and 1


def leak(text):
    KEPT.append(b"x" * int(text))
    return LOADED


DEATHS = {
    "segfault": segfault,
    "segfault_in_thread": segfault_in_thread,
    "bus_error": bus_error,
    "abort": abort,
    "leave": leave,
    "kill": kill,
    "kill_group": kill_group,
    "deep": deep,
    "lose_channel": lose_channel,
    "lose_channel_to_another": lose_channel_to_another,
    "no_fault_handler": no_fault_handler,
    "alarm_now": alarm_now,
}
WAYS = {name: thing for name, thing in globals().items() if callable(thing)} | {name: dying(way) for name, way in DEATHS.items()}
