"""What `sightline explain` does with a network of events: a clip in, WHERE and WHEN of every class out."""
