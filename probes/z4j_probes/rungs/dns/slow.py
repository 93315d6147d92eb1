"""Why a name resolved late: a server that is silent, or one datagram that was lost."""

from __future__ import annotations

from z4j_probes.hostname import ascii_name
from z4j_probes.portable import shell
from z4j_probes.portable.name_servers import RESOLV_CONF, where
from z4j_probes.portable.system import has_glibc
from z4j_probes.result import Step
from z4j_probes.rungs.dns.nameservers import Evidence

# RES_TIMEOUT: after this the C library asks again.
_SECOND_TRY_S = 5.0


def all_are_slow(evidence: Evidence) -> bool:
    """Whether no server answered in the time that it had, of a name that did resolve: then they were late."""
    return bool(evidence.answers) and all(len(answer.unanswered) > 1 for answer in evidence.answers)


def explain_slow(host: str, waited_s: float, evidence: Evidence | None) -> tuple[str, tuple[Step, ...]]:
    """The reason as a clause, and what to do."""
    see = Step("See how long it takes", shell.time_look_up(ascii_name(host)))
    if evidence is None:
        return "the system resolver was slow", (see,)
    mute = {a.server: a.unanswered for a in evidence.answers if a.unanswered}
    if all_are_slow(evidence):
        what = f"{', '.join(mute)} {'answers' if len(mute) == 1 else 'answer'} slowly"
        return what, (Step(f"Find out why, or name a faster server in {where()}"), see)
    if mute:
        server, kinds = next(iter(mute.items()))
        what = f"{server} did not answer" + (f" for {kinds[0]}" if len(kinds) == 1 else "")
        correct = f"Remove {server} from {where()}, or open UDP and TCP port 53 to it"
        if len(kinds) == 1:
            correct = f"Have {server} answer {kinds[0]} queries, or use another name server in {where()}"
        return what, (Step(correct), see)
    if has_glibc() and waited_s >= _SECOND_TRY_S * 0.9 and "single-request-reopen" not in evidence.options:
        again = "asked again after 5 s" if waited_s < _SECOND_TRY_S * 1.9 else "asked again twice"
        reopen = Step(
            f"Add an option to {RESOLV_CONF} (Kubernetes: dnsConfig.options): a NAT or firewall loses one of "
            "two queries that are sent at once",
            shell.ask_one_by_one(),
        )
        return f"one answer was lost, and the system resolver {again}", (reopen, see)
    return "the name servers answer now, the system resolver was slow", (see,)
