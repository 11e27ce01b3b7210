"""A file system in the test's hand: a directory shown at another place, by way of FUSE, as a stranger kind of disk would show it.

``python odd_disk.py SOURCE TARGET WAYS``: ``WAYS`` is a file with a JSON object, which may change while it runs:

``mode``
    permission bits that everything has, whatever it was made with; absent where modes are as they should be.
``chmod``
    the errno of each change of a mode or an owner.
``late``
    the errno that renames and changes of places have though they are done; ``share`` says of how many one has it.

It is the kernel's own protocol, over ``/dev/fuse``, and only what a spool needs of it. What it has not it says that it has not.
"""

from __future__ import annotations

import ctypes
import errno
import json
import os
import stat
import struct
import sys
from enum import IntEnum
from typing import Any


class Code(IntEnum):
    """What the kernel asks for."""

    LOOKUP = 1
    FORGET = 2
    GETATTR = 3
    SETATTR = 4
    MKDIR = 9
    UNLINK = 10
    RMDIR = 11
    RENAME = 12
    OPEN = 14
    READ = 15
    WRITE = 16
    STATFS = 17
    RELEASE = 18
    FSYNC = 20
    FLUSH = 25
    INIT = 26
    OPENDIR = 27
    READDIR = 28
    RELEASEDIR = 29
    CREATE = 35
    INTERRUPT = 36
    DESTROY = 38
    BATCH_FORGET = 42
    RENAME2 = 45


SILENT = {Code.FORGET, Code.INTERRUPT, Code.BATCH_FORGET}
MODE, UID, GID, SIZE = 1, 2, 4, 8
EXCHANGE = 2
LIBC = ctypes.CDLL(None, use_errno=True)
HEADER = struct.Struct("<IIQQIIII")


class Disk:
    """:param source: what is shown."""

    def __init__(self, source: str, ways: str) -> None:
        self._paths: dict[int, str | None] = {1: source}
        self._numbers = {source: 1}
        self._next = 2
        self._listed: dict[int, list[tuple[int, int, bytes]]] = {}
        self._ways = ways
        self._renames = 0

    def ways(self) -> dict[str, Any]:
        with open(self._ways) as file:
            found: dict[str, Any] = json.load(file)
        return found

    def answer(self, code: int, node: int, body: bytes) -> bytes:
        match code:
            case Code.INIT:
                major, minor, readahead, _ = struct.unpack_from("<IIII", body)
                return struct.pack("<IIIIHHIIHHI28x", major, min(minor, 31), readahead, 0, 12, 9, 1 << 17, 1, 32, 0, 0)
            case Code.LOOKUP:
                return self._entry(self._below(node, body))
            case Code.GETATTR:
                return struct.pack("<QII", 0, 0, 0) + self._attributes(self._path(node))
            case Code.SETATTR:
                return self._change(self._path(node), body)
            case Code.MKDIR:
                mode, umask = struct.unpack_from("<II", body)
                made = self._below(node, body[8:])
                os.mkdir(made, mode & ~umask)
                return self._entry(made)
            case Code.UNLINK:
                gone = self._below(node, body)
                os.unlink(gone)
                self._forget(gone)
                return b""
            case Code.RMDIR:
                gone = self._below(node, body)
                os.rmdir(gone)
                self._forget(gone)
                return b""
            case Code.RENAME:
                (to,) = struct.unpack_from("<Q", body)
                old, new = body[8:].split(b"\0")[:2]
                return self._rename(self._below(node, old), self._below(to, new))
            case Code.RENAME2:
                to, flags = struct.unpack_from("<QI", body)
                old, new = body[16:].split(b"\0")[:2]
                return self._exchange(self._below(node, old), self._below(to, new), flags)
            case Code.OPEN | Code.OPENDIR:
                (flags,) = struct.unpack_from("<I", body)
                handle = os.open(self._path(node), flags & ~(os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW))
                return struct.pack("<QII", handle, 0, 0)
            case Code.CREATE:
                flags, mode, umask, _ = struct.unpack_from("<IIII", body)
                made = self._below(node, body[16:])
                handle = os.open(made, flags | os.O_CREAT, mode & ~umask & 0o7777)
                return self._entry(made) + struct.pack("<QII", handle, 0, 0)
            case Code.READ:
                handle, offset, size = struct.unpack_from("<QQI", body)
                return os.pread(handle, size, offset)
            case Code.WRITE:
                handle, offset, size = struct.unpack_from("<QQI", body)
                return struct.pack("<II", os.pwrite(handle, body[40 : 40 + size], offset), 0)
            case Code.READDIR:
                return self._list(self._path(node), *struct.unpack_from("<QQI", body))
            case Code.RELEASE | Code.RELEASEDIR:
                (handle,) = struct.unpack_from("<Q", body)
                self._listed.pop(handle, None)
                os.close(handle)
                return b""
            case Code.STATFS:
                return struct.pack("<QQQQQIIII24x", 1 << 20, 1 << 19, 1 << 19, 1 << 20, 1 << 19, 4096, 255, 4096, 0)
            case Code.FSYNC | Code.FLUSH | Code.DESTROY:
                return b""
        raise OSError(errno.ENOSYS, "")

    def _path(self, node: int) -> str:
        path = self._paths.get(node)
        if path is None:
            raise OSError(errno.ESTALE, "")
        return path

    def _below(self, node: int, name: bytes) -> str:
        return os.path.join(self._path(node), os.fsdecode(name.split(b"\0")[0]))

    def _forget(self, path: str) -> None:
        if (number := self._numbers.pop(path, None)) is not None:
            self._paths[number] = None

    def _entry(self, path: str) -> bytes:
        attributes = self._attributes(path)
        if path not in self._numbers:
            self._numbers[path] = self._next
            self._paths[self._next] = path
            self._next += 1
        return struct.pack("<QQQQII", self._numbers[path], 0, 0, 0, 0, 0) + attributes

    def _attributes(self, path: str) -> bytes:
        found = os.lstat(path)
        mode = found.st_mode if (shown := self.ways().get("mode")) is None else stat.S_IFMT(found.st_mode) | shown
        times = [found.st_atime_ns, found.st_mtime_ns, found.st_ctime_ns]
        whole, rest = [each // 10**9 for each in times], [each % 10**9 for each in times]
        owner = (found.st_nlink, found.st_uid, found.st_gid, 0, 4096, 0)
        return struct.pack("<6Q10I", found.st_ino, found.st_size, found.st_blocks, *whole, *rest, mode, *owner)

    def _change(self, path: str, body: bytes) -> bytes:
        valid, _, _, size = struct.unpack_from("<IIQQ", body)
        mode, _, uid, gid = struct.unpack_from("<IIII", body, 68)
        if valid & (MODE | UID | GID) and (refused := self.ways().get("chmod")):
            raise OSError(refused, "")
        if valid & (UID | GID):
            os.chown(path, uid if valid & UID else -1, gid if valid & GID else -1)
        if valid & MODE:
            os.chmod(path, stat.S_IMODE(mode))
        if valid & SIZE:
            os.truncate(path, size)
        return struct.pack("<QII", 0, 0, 0) + self._attributes(path)

    def _rename(self, old: str, new: str) -> bytes:
        os.rename(old, new)
        self._forget(new)
        for path in [path for path in self._numbers if path == old or path.startswith(old + "/")]:
            number = self._numbers.pop(path)
            self._paths[number] = new + path[len(old) :]
            self._numbers[new + path[len(old) :]] = number
        return self._done()

    def _exchange(self, one: str, other: str, flags: int) -> bytes:
        """Have two files change places."""
        if flags != EXCHANGE:
            raise OSError(errno.EINVAL, "")
        if LIBC.renameat2(-1, os.fsencode(one), -1, os.fsencode(other), flags):  # of two paths from the root on
            raise OSError(ctypes.get_errno(), "")
        numbers = [self._numbers.pop(path, None) for path in (one, other)]
        for path, number in zip((other, one), numbers, strict=True):
            if number is not None:
                self._numbers[path] = number
                self._paths[number] = path
        return self._done()

    def _done(self) -> bytes:
        """What is said of a rename that is done."""
        self._renames += 1
        ways = self.ways()
        if ways.get("late") and self._renames % ways["share"] == 0:
            raise OSError(ways["late"], "")
        return b""

    def _list(self, path: str, handle: int, offset: int, size: int) -> bytes:
        if offset == 0 or handle not in self._listed:
            with os.scandir(path) as entries:
                self._listed[handle] = [
                    (entry.inode(), entry.stat(follow_symlinks=False).st_mode >> 12, os.fsencode(entry.name)) for entry in entries
                ]
        packed = b""
        for number, (inode, kind, name) in enumerate(self._listed[handle][offset:], offset + 1):
            entry = struct.pack("<QQII", inode, number, len(name), kind) + name
            entry += b"\0" * (-len(entry) % 8)
            if len(packed) + len(entry) > size:
                break
            packed += entry
        return packed


def serve(source: str, target: str, ways: str) -> None:
    device = os.open("/dev/fuse", os.O_RDWR)
    options = f"fd={device},rootmode=40000,user_id={os.getuid()},group_id={os.getgid()},allow_other"
    if LIBC.mount(b"odd", target.encode(), b"fuse", 0, options.encode()):
        raise OSError(ctypes.get_errno(), "nothing can be mounted by way of FUSE")
    print("mounted", flush=True)
    disk = Disk(source, ways)
    while True:
        try:
            request = os.read(device, (1 << 17) + 4096)
        except OSError as error:
            if error.errno in (errno.ENOENT, errno.EINTR):  # it was taken back
                continue
            return  # it was unmounted
        _, code, unique, node, *_ = HEADER.unpack_from(request)
        if code in SILENT:
            continue
        try:
            problem, body = 0, disk.answer(code, node, request[HEADER.size :])
        except OSError as error:
            problem, body = error.errno or errno.EIO, b""
        try:
            os.write(device, struct.pack("<IiQ", 16 + len(body), -problem, unique) + body)
        except OSError as error:
            if error.errno != errno.ENOENT:
                raise


if __name__ == "__main__":
    serve(*sys.argv[1:])
