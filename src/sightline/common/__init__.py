"""One of each helper that several packages need: files, statistics, chunks. It knows no other package."""
