"""What a brain asks of this agent, from the frame to the answer: dispatch, policy, memory, act, record.

`dispatch` takes commands from a session and gives it replies; `policy` says what the owner allows and why
something is refused; `memory` keeps what was begun and what came of it; `act` does one thing through the
worker's engine; `record` logs and counts. `engine`, with its `schedule_source`, is what a framework
implements: all but its methods run in the agent's thread.
"""
