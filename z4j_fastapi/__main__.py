"""`python -m z4j_fastapi`."""

from z4j_fastapi.cli.main import main

if __name__ == "__main__":
    main()
