"""The options of the three scripts, their help, which of them exclude each other, and nothing else."""
