"""What every API function does around its work: number the call, note it, check its flags."""

from __future__ import annotations

import functools
from collections.abc import Callable, Coroutine
from typing import Any, Concatenate, ParamSpec, Protocol, TypeVar, cast

from virtsim.errors import InvalidArgument, NotSupported, VirtsimError
from virtsim.host.context import CURRENT_CALL
from virtsim.qemu.driver import Driver

__all__ = ["api", "check_flags", "flag_number"]

P = ParamSpec("P")
T = TypeVar("T")


class _Face(Protocol):
    """An object of the API."""

    def _driver(self) -> Driver: ...

    def _actor(self) -> str: ...

    def _next_call(self) -> int: ...


F = TypeVar("F", bound=_Face)


def api(
    name: str,
) -> Callable[
    [Callable[Concatenate[F, P], Coroutine[Any, Any, T]]], Callable[Concatenate[F, P], Coroutine[Any, Any, T]]
]:
    """Make a coroutine function an API function: notes api.call and api.return, sets the current call.

    Args:
        name: libvirt's name of the function, such as ``virDomainCreate``.
    """

    def decorate(
        work: Callable[Concatenate[F, P], Coroutine[Any, Any, T]],
    ) -> Callable[Concatenate[F, P], Coroutine[Any, Any, T]]:
        @functools.wraps(work)
        async def call(self: F, *args: P.args, **kwargs: P.kwargs) -> T:
            context = self._driver().context
            actor = self._actor()
            token = CURRENT_CALL.set(self._next_call())
            try:
                context.note("api.call", actor, api=name)
                result = await work(self, *args, **kwargs)
            except VirtsimError as error:
                context.note(
                    "api.return",
                    actor,
                    api=name,
                    error={"code": int(error.code), "domain": int(error.domain), "text": error.text},
                )
                raise
            except BaseException as error:
                context.note("api.return", actor, api=name, error={"text": type(error).__name__})
                raise
            else:
                context.note("api.return", actor, api=name)
                return result
            finally:
                CURRENT_CALL.reset(token)

        return cast("Callable[Concatenate[F, P], Coroutine[Any, Any, T]]", call)

    return decorate


def flag_number(flags: int) -> int:
    """The flags as a plain number.

    Raises:
        InvalidArgument: not a number, negative, or wider than libvirt's unsigned int.
    """
    if isinstance(flags, bool) or not isinstance(flags, int) or not 0 <= flags < 1 << 32:
        raise InvalidArgument(f"flags must be an unsigned 32-bit number, not {flags!r}")
    return int(flags)


def check_flags(flags: int, supported: int, function: str, *, unmodelled: int = 0) -> int:
    """What ``virCheckFlags`` does in libvirt.

    Args:
        flags: what the caller gave.
        supported: what libvirt's function takes.
        function: name of libvirt's function in the text.
        unmodelled: those of ``supported`` that virtsim does not carry out.

    Returns:
        The flags as a number.

    Raises:
        InvalidArgument: a flag that libvirt's function does not take.
        NotSupported: a flag that virtsim does not carry out: never a silent success.
    """
    number = flag_number(flags)
    unknown = number & ~int(supported)
    if unknown:
        raise InvalidArgument(f"unsupported flags (0x{unknown:x}) in function {function}", bare=True)
    if number & int(unmodelled):
        raise NotSupported(f"flags 0x{number & int(unmodelled):x} of {function} are not modelled")
    return number
