"""The table of the second tier names tests that there are."""

import tiers


def test_every_entry_stands_for_a_test(collected):
    assert not tiers.unknown(collected)
    assert tiers.unknown({("test_cli", "another")})
