"""What is to be done when this process forks; nothing where processes can't."""

from __future__ import annotations

import os
from collections.abc import Callable


def at_fork(
    *,
    before: Callable[[], object] | None = None,
    in_parent: Callable[[], object] | None = None,
    in_child: Callable[[], object] | None = None,
) -> None:
    """As os.register_at_fork."""
    if not hasattr(os, "register_at_fork"):
        return
    given = {"before": before, "after_in_parent": in_parent, "after_in_child": in_child}
    os.register_at_fork(**{name: call for name, call in given.items() if call is not None})
