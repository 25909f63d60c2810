"""The programs of a guest: what they print and how they end.

Knows a handful of them, and those a script has. Must not know who starts one: the agent, or somebody at a
console.
"""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

    from fakeqemu.guests.system import System

__all__ = ["Result", "found", "run", "start"]

#: Where programs are.
_PATHS = ("/bin/", "/sbin/", "/usr/bin/", "/usr/sbin/", "/usr/local/bin/")
SECOND_NS = 1_000_000_000
_DAYS = ("Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun")
_MONTHS = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")


class Result:
    """How a program ended.

    Attributes:
        out: what it printed.
        err: what it complained of.
        code: its exit status.
        signal: what killed it, or 0.
        takes_ns: how long it ran.
        then: what happens to the guest afterwards, if anything.
    """

    __slots__ = ("code", "err", "out", "signal", "takes_ns", "then")

    def __init__(self, out: str | bytes = b"", err: str | bytes = b"", code: int = 0) -> None:
        self.out = out.encode() if isinstance(out, str) else out
        self.err = err.encode() if isinstance(err, str) else err
        self.code, self.signal, self.takes_ns = code, 0, 0
        self.then: Callable[[], None] | None = None


def found(system: System, path: str) -> str | None:
    """Why a program cannot be started, in the system's words; None when it can."""
    if path in (system.guest.words.get("exec") or {}):
        return None
    if system.is_directory(path) and path:
        return "Permission denied"
    return None if _program(path) is not None else "No such file or directory"


def _program(path: str) -> Callable[[System, list[str], bytes, str], Result] | None:
    folder, _, name = path.rpartition("/")
    if folder and f"{folder}/" not in _PATHS:
        return None
    return _PROGRAMS.get(name)


def start(system: System, path: str, words: list[str], given: bytes = b"", *, user: str = "root") -> Result:
    """Start a program that is there; it has run already, however long it takes."""
    own: dict[str, Any] | None = (system.guest.words.get("exec") or {}).get(path)
    if own is not None:
        result = Result(str(own.get("out") or ""), str(own.get("err") or ""), own.get("exitcode") or 0)
        result.signal, result.takes_ns = own.get("signal") or 0, own.get("takes") or 0
        return result
    program = _program(path)
    if program is None:
        return Result(err=f"{path}: command not found\n", code=127)
    return program(system, words, given, user)


def run(system: System, line: str, *, user: str = "root") -> Result:
    """Carry out a line of the shell: commands with ``;``, ``&&`` and ``>``; it knows no pipes."""
    total = Result()
    for command in line.replace("&&", ";&").split(";"):
        if command.startswith("&") and total.code:
            break
        words, target = _split(command.removeprefix("&"))
        if not words:
            continue
        if words[0] == "exit":
            total.code = int(words[1]) if len(words) > 1 and words[1].isdigit() else total.code
            break
        if "|" in words:
            total.err += b"sh: pipes are not modelled\n"
            total.code = 2
            break
        result = start(system, words[0], words[1:], user=user)
        if target is not None:
            result = _redirected(system, result, *target)
        total.out += result.out
        total.err += result.err
        total.code, total.signal, total.then = result.code, result.signal, result.then or total.then
        total.takes_ns += result.takes_ns
    return total


def _redirected(system: System, result: Result, sign: str, path: str) -> Result:
    if path == "&2":
        result.out, result.err = b"", result.err + result.out
        return result
    if path != "/dev/null":
        reason = system.reason(path, create=True)
        reason = reason or system.store(
            path, (system.files.get(path, b"") if sign == ">>" else b"") + result.out
        )
        if reason is not None:
            result.err += f"sh: {path}: {reason}\n".encode()
            result.code = 1
    result.out = b""
    return result


def _split(command: str) -> tuple[list[str], tuple[str, str] | None]:
    """The words of a command, quotes taken away, and where its output goes."""
    words: list[str] = []
    word, quote, some = "", "", False
    for sign in command + " ":
        if quote:
            if sign == quote:
                quote = ""
            else:
                word += sign
        elif sign in "'\"":
            quote, some = sign, True
        elif sign.isspace():
            if word or some:
                words.append(word)
            word, some = "", False
        else:
            word += sign
    if quote:
        words.append(word)
    for index, text in enumerate(words):
        sign = ">>" if text.startswith(">>") else ">" if text.startswith(">") else ""
        if sign:
            target = text[len(sign) :] or (words[index + 1] if index + 1 < len(words) else "")
            return words[:index], (sign, target)
    return words, None


def _echo(_system: System, words: list[str], _given: bytes, _user: str) -> Result:
    bare = words[:1] == ["-n"]
    return Result(" ".join(words[bare:]) + ("" if bare else "\n"))


def _cat(system: System, words: list[str], given: bytes, _user: str) -> Result:
    result = Result(given if not words else b"")
    for path in words:
        reason = "Is a directory" if system.is_directory(path) else system.reason(path, create=False)
        if reason is None:
            result.out += system.files[path]
        else:
            result.err += f"cat: {path}: {reason}\n".encode()
            result.code = 1
    return result


def _uname(system: System, words: list[str], _given: bytes, _user: str) -> Result:
    release, version, machine = (system.os[key] for key in ("kernel-release", "kernel-version", "machine"))
    if "-a" in words:
        return Result(f"Linux {system.hostname} {release} {version} {machine} GNU/Linux\n")
    table = {"-r": release, "-n": system.hostname, "-m": machine, "-v": version, "-s": "Linux"}
    return Result(" ".join([table.get(word, "Linux") for word in words] or ["Linux"]) + "\n")


def _date(system: System, words: list[str], _given: bytes, _user: str) -> Result:
    seconds = system.now_ns // SECOND_NS
    if words[:1] == ["+%s"]:
        return Result(f"{seconds}\n")
    days, rest = divmod(seconds, 86400)
    year, month, day = _civil(days)
    clock = f"{rest // 3600:02d}:{rest // 60 % 60:02d}:{rest % 60:02d}"
    return Result(f"{_DAYS[(days + 3) % 7]} {_MONTHS[month - 1]} {day:2d} {clock} UTC {year}\n")


def _civil(days: int) -> tuple[int, int, int]:
    """Year, month and day of a day since the epoch, by the Gregorian calendar."""
    year = 1970
    while days >= (length := 366 if year % 4 == 0 and (year % 100 or year % 400 == 0) else 365):
        days, year = days - length, year + 1
    lengths = [31, 29 if length == 366 else 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31]
    month = 0
    while days >= lengths[month]:
        days, month = days - lengths[month], month + 1
    return year, month + 1, days + 1


def _sleep(_system: System, words: list[str], _given: bytes, _user: str) -> Result:
    result = Result()
    for word in words:
        number = word.rstrip("s")
        if not number.replace(".", "", 1).isdigit():
            return Result(err=f"sleep: invalid time interval '{word}'\n", code=1)
        result.takes_ns += int(float(number) * SECOND_NS)
    return result


def _ls(system: System, words: list[str], _given: bytes, _user: str) -> Result:
    folder = (next((word for word in words if not word.startswith("-")), "/root")).rstrip("/") + "/"
    if not system.is_directory(folder):
        return Result(err=f"ls: cannot access '{folder[:-1]}': No such file or directory\n", code=2)
    names = {path[len(folder) :].split("/")[0] for path in system.files if path.startswith(folder)}
    return Result("".join(f"{name}\n" for name in sorted(names)))


def _id(_system: System, _words: list[str], _given: bytes, user: str) -> Result:
    number = 0 if user == "root" else 1000
    return Result(f"uid={number}({user}) gid={number}({user}) groups={number}({user})\n")


def _uptime(system: System, _words: list[str], _given: bytes, _user: str) -> Result:
    return Result(f"up {system.uptime_ns // (60 * SECOND_NS)} minutes\n")


def _shell(system: System, words: list[str], given: bytes, user: str) -> Result:
    if words[:1] == ["-c"] and len(words) > 1:
        return run(system, words[1], user=user)
    return run(system, given.decode("utf-8", "replace").replace("\n", ";"), user=user)


def _end(name: str) -> Callable[[System, list[str], bytes, str], Result]:
    def program(system: System, words: list[str], _given: bytes, _user: str) -> Result:
        from fakeqemu import runstate as guest

        verb = next((word for word in words if not word.startswith("-")), "") if name == "systemctl" else name
        if name == "shutdown" and "-r" in words:
            verb = "reboot"
        acts = {"reboot": guest.reset, "suspend": guest.suspend, "hibernate": guest.suspend_disk}
        ends = ("poweroff", "shutdown", "halt")
        result = Result()
        act = acts.get(verb) or (guest.power_off if verb in ends else None)
        if act is not None:
            result.then = lambda: system.guest.later(0, lambda: act(system.guest.machine))
        return result

    return program


def _say(make: Callable[[System], str]) -> Callable[[System, list[str], bytes, str], Result]:
    return lambda system, _words, _given, _user: Result(make(system))


def _fail(_system: System, _words: list[str], _given: bytes, _user: str) -> Result:
    return Result(code=1)


_PROGRAMS: dict[str, Callable[[System, list[str], bytes, str], Result]] = {
    "bash": _shell,
    "cat": _cat,
    "date": _date,
    "dmesg": _say(lambda system: "\n".join(system.guest.screen) + "\n"),
    "echo": _echo,
    "false": _fail,
    "halt": _end("halt"),
    "hostname": _say(lambda system: f"{system.hostname}\n"),
    "id": _id,
    "ls": _ls,
    "poweroff": _end("poweroff"),
    "pwd": _say(lambda _: "/root\n"),
    "reboot": _end("reboot"),
    "sh": _shell,
    "shutdown": _end("shutdown"),
    "sleep": _sleep,
    "sync": _say(lambda _: ""),
    "systemctl": _end("systemctl"),
    "true": _say(lambda _: ""),
    "uname": _uname,
    "uptime": _uptime,
    "whoami": lambda _system, _words, _given, user: Result(f"{user}\n"),
}
