"""Which name servers macOS asks for which name, as `scutil --dns` tells it."""

from __future__ import annotations

import pytest

from z4j_probes.portable.name_servers import ResolverConfig, parse_scutil

VPN = """DNS configuration

resolver #1
  search domain[0] : home.example
  search domain[1] : lan
  nameserver[0] : 192.168.1.1
  nameserver[1] : fe80::1%en0
  if_index : 15 (en0)
  flags    : Request A records, Request AAAA records
  reach    : 0x00020002 (Reachable,Directly Reachable Address)

resolver #2
  domain   : corp.example
  nameserver[0] : 10.8.0.1
  flags    : Supplemental, Request A records
  reach    : 0x00000003 (Reachable,Transient Connection)
  order    : 101200

resolver #3
  domain   : dev.corp.example
  nameserver[0] : 10.9.0.1
  port     : 5300
  flags    : Supplemental

resolver #4
  domain   : local
  options  : mdns
  timeout  : 5
  nameserver[0] : 224.0.0.251

DNS configuration (for scoped queries)

resolver #1
  nameserver[0] : 172.16.0.9
  if_index : 15 (en0)
"""
SEARCH = ("home.example", "lan")
HOME = (("192.168.1.1", 53), ("fe80::1%en0", 53))


@pytest.mark.parametrize(
    ("host", "servers"),
    [
        ("brain.example", HOME),
        ("brain.corp.example", (("10.8.0.1", 53),)),
        ("CORP.example.", (("10.8.0.1", 53),)),
        ("brain.dev.corp.example", (("10.9.0.1", 5300),)),
        ("notcorp.example", HOME),
        ("printer.local", HOME),
    ],
)
def test_the_resolver_with_the_longest_matching_domain_is_asked(
    host: str, servers: tuple[tuple[str, int], ...]
) -> None:
    assert parse_scutil(VPN, host) == ResolverConfig(servers, SEARCH)


@pytest.mark.parametrize("text", ["", "No DNS configuration available\n", "resolver #1\n  reach : 0\n"])
def test_without_a_network_there_is_no_server(text: str) -> None:
    assert parse_scutil(text, "brain.example") == ResolverConfig()
