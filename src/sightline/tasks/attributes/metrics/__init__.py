"""How well attributes are read, and whether texts about them are true."""
