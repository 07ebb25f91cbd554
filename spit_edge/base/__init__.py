"""The ground floor, which imports nothing of the other packages: errors, files, the terminal."""
