"""A worker's own schedules on the brain's page: arq's cron jobs, taskiq's schedule sources.

`source` is what a framework implements; `memory` keeps what was sent last; `desk` is what an agent has for
its life, and `at_desk` what happens in one session: activation, snapshots, and running a schedule now.
"""
