"""Where gates can be plugged into a network, and how: tracing, sites, slots, plug and unplug."""
