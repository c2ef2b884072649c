"""Jobs under SLURM: submitting them and following them."""
