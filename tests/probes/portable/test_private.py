"""What Windows' access control lists let other users do, from their text form (SDDL)."""

from __future__ import annotations

import pytest

from z4j_probes.portable.private import objection_in

OWN = "S-1-5-21-1004336348-1177238915-682003330-1001"
OTHER = "S-1-5-21-1004336348-1177238915-682003330-1002"


@pytest.mark.parametrize(
    ("sddl", "private", "shared"),
    [
        (f"O:{OWN}D:P(A;OICI;FA;;;SY)(A;OICI;FA;;;BA)(A;OICI;FA;;;{OWN})", "", ""),
        # a directory below the user's profile
        (f"O:{OWN}D:(A;OICIID;FA;;;SY)(A;OICIID;FA;;;BA)(A;OICIID;FA;;;{OWN})", "", ""),
        ("O:BAD:P(A;OICI;FA;;;SY)(A;OICI;FA;;;BA)(A;OICI;FA;;;OW)", "", ""),
        # what is created in the root of a drive
        (
            f"O:{OWN}D:(A;OICIID;FA;;;BA)(A;OICIID;0x1200a9;;;BU)(A;ID;0x1301bf;;;AU)(A;OICIIOID;SDGXGWGR;;;AU)",
            "is accessible to all users",
            "is writable by every signed-in user",
        ),
        (f"O:{OWN}D:(A;;FA;;;{OWN})(A;;0x1200a9;;;BU)", "is accessible to all users", ""),
        (f"O:{OWN}D:(A;;FA;;;WD)", "is accessible to everyone", "is writable by everyone"),
        (f"O:{OWN}D:(A;;FA;;;{OWN})(D;;FA;;;WD)", "", ""),
        (f"O:{OWN}D:(A;;FR;;;{OTHER})", f"is accessible to {OTHER}", ""),
        (f"O:{OTHER}D:(A;;FA;;;{OWN})", f"belongs to {OTHER}", f"belongs to {OTHER}"),
        (f"O:{OWN}D:NO_ACCESS_CONTROL", "", ""),
        (f"O:{OWN}", "", ""),
    ],
)
def test_whom_a_list_lets_in(sddl: str, private: str, shared: str) -> None:
    assert objection_in(sddl, OWN, to_reading=True) == private
    assert objection_in(sddl, OWN, to_reading=False) == shared
