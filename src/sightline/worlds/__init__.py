"""Generated worlds with a known answer, which several packages use: the aviary."""
