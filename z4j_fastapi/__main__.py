"""Where the program begins: `python -m z4j_fastapi`, and the installed `z4j-fastapi`."""

import gc
import signal
import sys
from typing import NoReturn


def main() -> NoReturn:
    """Run the command line, without a collector that looks through all that is imported."""
    gc.disable()  # until the command turns out to be one that goes on
    if sys.platform != "win32":  # until what answers these is imported, which takes a moment
        signal.pthread_sigmask(signal.SIG_BLOCK, (signal.SIGINT, signal.SIGTERM))
    from z4j_fastapi.cli.main import main as run

    run()


if __name__ == "__main__":
    main()
