"""Generated worlds with a known answer."""
