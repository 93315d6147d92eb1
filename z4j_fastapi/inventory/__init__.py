"""The inventory: which agents run on this machine, and which processes have settings for one but no agent.

No network: it reads the status files that agents keep beside their slots, and /proc. `rows` is what an agent
says of itself, as data; `processes` what the system says; `places` where state directories are, and how they
are read; `survey` puts it together; `metrics` gives rows to Prometheus. Used by `status` and by the health
routes.
"""
