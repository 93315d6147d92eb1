"""A module that is loaded when something of it is first used, not when it is imported.

importlib's LazyLoader would do, but that the second `import` of such a module loads it.
"""

from __future__ import annotations

import sys
from importlib import import_module
from types import ModuleType


class _Late(ModuleType):
    def __getattr__(self, name: str) -> object:
        if sys.modules.get(self.__name__) is self:
            del sys.modules[self.__name__]
        return getattr(import_module(self.__name__), name)


def load_late(name: str) -> None:
    """Have a module loaded late in this process, if it is not loaded yet."""
    if name in sys.modules:
        return
    sys.modules[name] = module = _Late(name)
    package, _, own_name = name.rpartition(".")
    if package:  # `import a.b` looks b up in a
        setattr(import_module(package), own_name, module)
