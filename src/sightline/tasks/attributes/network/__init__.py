"""Any backbone with attributes as a second task: heads, joins, calibration, and its file."""
