"""Whether maps of where and when are right: pointing, mass, perturbation, randomisation, negative sound."""
