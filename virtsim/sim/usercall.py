"""Code of the user's own in a scenario: ``call: file.py:function``.

Knows how to find and call it. Must not know what it does.
"""

from __future__ import annotations

import asyncio
import importlib.util
import inspect
from pathlib import Path
from types import ModuleType
from typing import Any

from virtsim.sim.loop import VirtualLoop
from virtsim.sim.usercode import virtual_wallclock
from virtsim.sim.world import EPOCH_NS

__all__ = ["UserCodeError", "call_user_code"]


class UserCodeError(Exception):
    """User code could not be called; the text says why."""


async def call_user_code(where: str, folder: Path, stage: Any) -> Any:
    """Call a function with the stage and return what it returns; a coroutine is awaited.

    On the virtual clock it sees virtual time.

    Args:
        where: ``file.py:function``.
        folder: where the file is looked for.
        stage: the argument.

    Raises:
        UserCodeError: there is no such function, or the file fails when it is imported.
        Exception: whatever the function raises.
    """
    file, _, name = where.rpartition(":")
    function = getattr(_module(folder / file), name, None)
    if not callable(function):
        raise UserCodeError(f"{file} has no function {name!r}")
    loop = asyncio.get_running_loop()
    if not isinstance(loop, VirtualLoop):
        result = function(stage)
        return await result if inspect.isawaitable(result) else result
    with virtual_wallclock(loop, EPOCH_NS):
        result = function(stage)
        return await result if inspect.isawaitable(result) else result


def _module(path: Path) -> ModuleType:
    spec = importlib.util.spec_from_file_location(f"virtsim_scenario_{path.stem}", path)
    if spec is None or spec.loader is None:
        raise UserCodeError(f"{path.name} is not Python code")
    module = importlib.util.module_from_spec(spec)
    try:
        spec.loader.exec_module(module)
    except Exception as error:
        raise UserCodeError(f"{path.name} cannot be imported: {error}") from error
    return module
