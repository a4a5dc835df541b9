"""What the gates of a trained network do: their values over depth, their dependence on earlier blocks."""
