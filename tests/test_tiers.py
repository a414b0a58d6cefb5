"""The table of the second tier names tests that there are."""

import tiers


def test_every_entry_stands_for_a_test(collected):
    assert not tiers.unknown(collected)
    assert tiers.unknown(collected | {("test_cli", "another")} - {x for x in collected if x[0] == "test_cli"})
