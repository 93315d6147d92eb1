"""From a failed handshake to its verdict: take the evidence, decide, put it into words."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime

from z4j_probes.climb import Climb
from z4j_probes.result import ProbeResult
from z4j_probes.rungs.tls import classify as _tls_faults
from z4j_probes.rungs.tls import words as _tls_verdicts
from z4j_probes.rungs.tls.certificates import read_all
from z4j_probes.rungs.tls.classify import Evidence
from z4j_probes.rungs.tls.failure import look_again
from z4j_probes.rungs.tls.handshake import Presented, SpokeFirst, Watch
from z4j_probes.trust import TrustStore

_ABOUT_DATES = ("tls.expired", "tls.not_yet_valid")
_ABOUT_ROOTS = (*_ABOUT_DATES, "tls.unknown_ca", "tls.not_strict")


async def explain(climb: Climb, store: TrustStore, error: Exception, watch: Watch) -> ProbeResult:
    """Why the handshake failed."""
    code = _tls_faults.classify(error, alert=watch.alert, certificate_requested=watch.certificate_requested)
    evidence = Evidence(
        climb.endpoint,
        error,
        store,
        datetime.now(UTC),
        watch.alert,
        watch.certificate_requested,
        proxy=climb.proxy,
    )
    if isinstance(error, SpokeFirst):
        said = Presented(said=climb.protocol.take())
        return _tls_verdicts.verdict("tls.not_tls", replace(evidence, presented=said))
    if code == "tls.timeout":
        return _tls_verdicts.verdict(code, evidence)

    watch.stop()
    presented = await look_again(climb, store, with_name=watch.alert != 112, ask_date=code in _ABOUT_DATES)
    chain = read_all(presented.chain)
    wants_roots = code in _ABOUT_ROOTS and chain
    roots = read_all(store.context.get_ca_certs(binary_form=True)) if wants_roots else ()
    evidence = replace(evidence, presented=presented, chain=chain, roots=roots)
    return _tls_verdicts.verdict(_tls_faults.refine(code, evidence), evidence)


def explain_empty_store(climb: Climb, store: TrustStore) -> ProbeResult:
    """Why there was no handshake: no certificate on earth would verify."""
    nothing = Evidence(
        climb.endpoint, LookupError("no certificates"), store, datetime.now(UTC), proxy=climb.proxy
    )
    return _tls_verdicts.verdict("tls.empty_trust_store", nothing)
