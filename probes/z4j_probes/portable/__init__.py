"""What differs between Linux, macOS and Windows, a file a subject; nothing else asks which system this is.

Each function says what it promises on every system, and where the promise is weaker. What a Python build can
lack (fcntl, pwd, resource, os.fork) is looked for, and not inferred from the system's name.
"""
