"""Act as a service: `--pid` and `--unit`, in a child process that has what the service has.

Raises CannotActAs, and prints nothing.
"""
