"""Discrete choice as econometrics has it: tables of choices, the multinomial logit, and what follows from it."""
