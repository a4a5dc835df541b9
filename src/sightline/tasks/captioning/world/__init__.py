"""Generated scenes of two coloured shapes among grey ones, whose true sentences and right regions are known."""
