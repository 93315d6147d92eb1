"""What a brain delivers to a doctor: commands, on which it never acts.

A brain sends what waits for an agent to whichever session comes first, and a doctor is a session. What a
brain sends again stays unanswered, so the agent gets it; anything else is sent once and would be lost without
a word, so it is refused with the reason.
"""

from __future__ import annotations

from dataclasses import replace

from z4j_probes.climb import Climb
from z4j_probes.result import ProbeResult
from z4j_probes.rungs.exchange import say

REASON = (
    "command.no_worker_here: it was delivered to a doctor, which acts on no command. "
    "Send it again when the agent is online"
)


async def refuse_delivered(climb: Climb, result: ProbeResult) -> ProbeResult:
    """Answer the commands that came while the signing check ran; the result, with how many there were."""
    commands = [frame for frame in climb.pending if frame["type"] == "command"]
    if not commands:
        return result
    from z4j_probes.protocol import answers  # what tells commands apart is loaded when there is one
    from z4j_probes.protocol.actions import SENT_AGAIN
    from z4j_probes.protocol.commands import MalformedCommand, read_command

    refused = left = 0
    for frame in commands:
        try:
            command = read_command(frame["id"], frame["payload"])
            action, claim_token = command.action, command.claim_token
        except MalformedCommand as malformed:
            action, claim_token = malformed.action, malformed.claim_token
        if action in SENT_AGAIN:
            left += 1
            continue
        refused += 1
        payload = answers.result("failed", claim_token, error=REASON)
        await say(climb, climb.signer.sign("command_ack", answers.acknowledgement(claim_token), frame["id"]))
        await say(climb, climb.signer.sign("command_result", payload, frame["id"]))
    told = [f"{refused} refused"] if refused else []
    told += [f"{left} left for the agent"] if left else []
    count = refused + left
    seen = f"{count} command{'s' if count > 1 else ''} came meanwhile ({', '.join(told)})"
    details = {**result.details, "commands": {"refused": refused, "left": left}}
    # of a failure, the row says only what failed
    row = f"{result.headline}; {seen}" if result.ok and result.headline else result.headline
    return replace(result, message=f"{result.message}; {seen}", details=details, headline=row)
