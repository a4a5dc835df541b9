"""Training on clicks: the experiment, its steps, and logistic regression beside it."""
