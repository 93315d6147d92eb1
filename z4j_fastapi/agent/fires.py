"""Fires of the brain's schedules, which this agent leaves unanswered: what the log says about them.

A brain takes a fire that failed for the end of the schedule and switches it off; one that is not answered it
repeats, gives up, and keeps the schedule on (verified with brain 1.13.0). So silence does less harm than a
refusal, and the log is where a person learns of it.
"""

from __future__ import annotations

import time
import uuid
from collections.abc import Callable

from z4j_fastapi.log import log

# Of one schedule: it may fire each second, and each fire comes twice.
SAME_SCHEDULE_EVERY_S = 3600.0
# Of all schedules together: a brain can name any number of them, and does not fill the log by that.
ANY_SCHEDULE_EVERY_S = 1.0


class UnansweredFires:
    """Counts them, and logs each schedule's first and then one an hour; lives as long as the agent."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._logged: dict[str, float] = {}
        self.count = 0

    def note(self, target_id: object) -> None:
        """A fire for the schedule with this id has come. What the brain says besides is not logged."""
        self.count += 1
        now_s, schedule = self._clock(), _uuid_in(target_id)
        self._logged = {id_: s for id_, s in self._logged.items() if now_s - s < SAME_SCHEDULE_EVERY_S}
        last_s = max(self._logged.values(), default=now_s - ANY_SCHEDULE_EVERY_S)
        if schedule in self._logged or now_s - last_s < ANY_SCHEDULE_EVERY_S:
            return
        self._logged[schedule] = now_s
        log.error(
            "schedule.fire: this agent can't run tasks for the brain yet, so schedule %s does not run; its "
            "fires are left unanswered (%d so far), since after a refusal the brain switches a schedule "
            "off; pause the schedule on the dashboard, and have the worker's own scheduler run its task "
            "(arq: cron_jobs, taskiq: TaskiqScheduler)",
            schedule,
            self.count,
        )


def _uuid_in(target_id: object) -> str:
    try:
        return str(uuid.UUID(str(target_id)))
    except ValueError:
        return "(without an id)"
