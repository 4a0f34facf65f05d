"""Looking at multipliers and runs: the numbers, the plots and the reports."""
