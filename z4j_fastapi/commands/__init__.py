"""What a brain asks of this agent, from the frame to the answer.

`dispatch` takes commands from a session, and `policy` says what the owner allows, and why something is
refused. `execute` has each done at most once: here, by `act` through the worker's engine, or by one of the
`peers`; `memory` keeps what was begun and what came of it. `replies` has what the session is to send, and
`record` logs and counts. `engine`, with its `schedule_source`, is what a framework implements: all but its
methods run in the agent's thread.
"""
