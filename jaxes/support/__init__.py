"""What every part of the library may use: checks, arithmetic on trees, keys, counters, progress."""
