"""The agent, in the order of its life: agent, thread, supervisor, session, in_flight, reconnect.

`hello` is what it says of itself, `status` what it tells its host, `events` what it is given, `errors` what
it raises.
"""
