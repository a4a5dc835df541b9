"""Why a row was clicked: which fields, and which pairs of fields, and whether that is true."""
