"""What is written of a network of events: its card, the page that plays a clip, the film strip."""
