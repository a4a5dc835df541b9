"""Events from frozen features: the verb that makes them, and the training on them."""
