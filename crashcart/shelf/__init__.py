"""What is kept of runs: finding, reading, comparing and pruning recordings and suites."""
