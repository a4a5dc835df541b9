"""The network of events: encoders, attention over (time, place, segment), heads, the AVEL baseline, its files."""
