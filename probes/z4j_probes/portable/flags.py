"""Flags of os.open that not every system has. Where one is 0, its protection is not to be had there."""

from __future__ import annotations

import os

CLOEXEC: int = getattr(os, "O_CLOEXEC", 0)  # Python's descriptors are not inherited anyhow (PEP 446)
NOFOLLOW: int = getattr(os, "O_NOFOLLOW", 0)  # on Windows, making a link takes a privilege
NONBLOCK: int = getattr(os, "O_NONBLOCK", 0)
NOCTTY: int = getattr(os, "O_NOCTTY", 0)
PLACE: int = getattr(os, "O_PATH", 0) | getattr(os, "O_DIRECTORY", 0) | CLOEXEC
"""To be there needs no right to list what is in it (Linux)."""
DIRECTORY: int = getattr(os, "O_DIRECTORY", 0)
_BINARY: int = getattr(os, "O_BINARY", 0)  # else Windows translates line ends

READ = os.O_RDONLY | CLOEXEC | _BINARY
READ_UNHELD = READ | NOFOLLOW | NONBLOCK
"""For a file of ours: not what a link leads to, and a FIFO of that name holds no one up."""
READ_WRITE = os.O_RDWR | CLOEXEC | _BINARY
CREATE = READ_WRITE | os.O_CREAT | os.O_EXCL
