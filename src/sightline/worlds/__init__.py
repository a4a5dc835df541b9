"""Generated worlds with a known answer, which several rooms use: the aviary."""
