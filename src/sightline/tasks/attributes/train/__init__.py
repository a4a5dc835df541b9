"""Training networks with attributes: examples, the task, the recipe, what is measured."""
