"""The agent, in the order of its life: agent, thread, supervisor, session, delivery, in_flight, reconnect.

`events` is what it is given, `errors` what it raises, and `status` what it tells its host; `status_writer`
and `description` tell the rest of the machine. To a brain, `hello` says what it is, and `gauges` what its
worker does. `host` is the process that it is in, and `files` those that its settings come from.

What sessions have seen is kept in `traffic`, `rejections`, `cuts`, and `frame_size`; `outage` is the time
without one.
"""
