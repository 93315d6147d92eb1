"""The codes of the `buffer` probe."""

from z4j_probes.codes._code import Code
from z4j_probes.result import Status

CODES = (
    Code("buffer.ok", "everything is in order", status=Status.PASS),
    Code("buffer.relocated", "relocated", status=Status.WARN),
    Code("buffer.unwritable", "unwritable"),
    Code("buffer.not_a_directory", "not a directory"),
    Code("buffer.read_only", "read only"),
    Code("buffer.disk_full", "disk full"),
    Code("buffer.unsafe_directory", "unsafe directory"),
    Code("buffer.corrupt", "corrupt"),
    Code("buffer.locked", "locked"),
    Code("buffer.low_space", "low space", status=Status.WARN),
    Code("buffer.timeout", "timeout"),
)
