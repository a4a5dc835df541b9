"""Searchers over schemes: random, greedy, REINFORCE; each registers itself."""
