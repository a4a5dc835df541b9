"""Several labels per picture, or none: what every task shares - loss, probe, figures, tables and words."""
