"""Code of the user's own in a scenario: ``call: file.py:function``.

Knows how to find and call it. Must not know what it does.
"""

from __future__ import annotations

import asyncio
import importlib.util
import inspect
import sys
from contextlib import nullcontext
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
    module_name = f"virtsim_scenario_{Path(file).stem}"
    sys.modules.pop(module_name, None)  # what appears inside of the block gets its real clock back after it
    loop = asyncio.get_running_loop()
    with virtual_wallclock(loop, EPOCH_NS) if isinstance(loop, VirtualLoop) else nullcontext():
        # Imported in here, so that ``from time import sleep`` is virtual too, and code of the module itself.
        function = getattr(_module(module_name, folder / file), name, None)
        if not callable(function):
            raise UserCodeError(f"{file} has no function {name!r}")
        result = function(stage)
        return await result if inspect.isawaitable(result) else result


def _module(name: str, path: Path) -> ModuleType:
    spec = importlib.util.spec_from_file_location(name, path)
    if spec is None or spec.loader is None:
        raise UserCodeError(f"{path.name} is not Python code")
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module  # where dataclasses, pickle and the wall clock look for it
    try:
        spec.loader.exec_module(module)
    except Exception as error:
        raise UserCodeError(f"{path.name} cannot be imported: {error}") from error
    return module
