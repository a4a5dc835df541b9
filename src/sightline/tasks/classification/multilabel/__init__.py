"""Several labels per picture, or none of them: table, pictures, network, training, figures, card and words."""
