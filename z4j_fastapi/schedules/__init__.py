"""A worker's own schedules on the brain's page: arq's cron jobs, taskiq's schedule sources.

What a framework implements is `commands/schedule_source`, a part of its engine. `memory` keeps what was sent
last; `desk` is what an agent has for its life, and `at_desk` what happens in one session: activation,
snapshots, and running a schedule now.
"""
