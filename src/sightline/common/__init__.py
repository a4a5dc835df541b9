"""One of each helper that several rooms need: files, statistics, chunks. It knows no room."""
