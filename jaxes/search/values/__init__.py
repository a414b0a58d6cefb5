"""How members get their values: one call or processes, again where there is noise, with constraints."""
