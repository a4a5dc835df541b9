"""How good captions are, and whether their words point at the right regions."""
