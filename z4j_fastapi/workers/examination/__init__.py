"""What `doctor --worker` finds out, in a process of its own: `python -m z4j_fastapi.workers.examination`.

`target` imports a worker as its framework does; `arq` and `taskiq` look at what was imported and ask its
Redis; `reason` says why that does not answer. Nothing is started, and nothing in Redis is changed.
"""
