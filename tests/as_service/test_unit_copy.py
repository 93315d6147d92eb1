"""What a unit's copy has of its files, as `systemctl cat` prints them."""

from __future__ import annotations

from z4j_fastapi.as_service.systemctl import Unit
from z4j_fastapi.as_service.unit_copy import text_of

FILES = r"""# /lib/systemd/system/web@.service
[Unit]
Description=Web
Requires=db.service
ConditionPathExists=/srv/%i
JoinsNamespaceOf=other.service
OnFailure=mail.service

[Service]
Type=notify
User=web-%i
Environment=A=%n B=%p C=%d/x \
  D=100%%n
ExecStartPre=/bin/install
ExecStart=/opt/%p/bin/web
ExecPaths=/opt
Restart=always
StateDirectory=web
StateDirectoryMode=0700
LoadCredential=token:/etc/%p/%i
ProtectSystem=strict
StandardOutput=file:/var/log/web
; a comment
TimeoutStartSec=1
IPAddressDeny=any

[Install]
WantedBy=multi-user.target

# /etc/systemd/system/web@.service.d/override.conf
[Service]
PrivateNetwork=yes
"""


def text(unit: str, **properties: str) -> str:
    return text_of(FILES, Unit(unit, {"Id": unit, **properties}))


def test_it_has_what_the_service_would_be_given_and_none_of_what_it_does() -> None:
    assert (
        text("web@blue.service")
        == r"""[Unit]
ConditionPathExists=/srv/blue
JoinsNamespaceOf=other.service
[Service]
User=web-blue
Environment=A=web@blue.service B=web C=%d/x  D=100%%n
ExecPaths=/opt
LoadCredential=token:/etc/web/blue
ProtectSystem=strict
IPAddressDeny=any
PrivateNetwork=yes
"""
    )


def test_a_dynamic_user_has_the_name_that_systemd_made_of_the_units() -> None:
    assert text("web@blue.service", DynamicUser="yes", User="web").endswith("User=web\n")
