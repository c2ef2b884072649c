# What differs between clusters. Every script here sources it, with the project as the current folder.
# For yours: copy it to slurm/sites/NAME.sh, change what differs, and say `deqn submit ... --site NAME`.

# Modules, by the names that `module avail` shows: the compiler and MPI that `make cluster` built with.
# module purge
# module load gcc openmpi

# Where deqn is: the project's .venv, or the folder of a conda environment.
DEQN_VENV=${DEQN_VENV:-$PWD/.venv}
PATH=$DEQN_VENV/bin:$PATH
DEQN=(deqn)

# How ranks are started. `srun --mpi=list` names what this SLURM speaks; MPI has to speak it, too.
# kill-on-bad-exit: without it the other ranks would wait for a dead one.
DEQN_LAUNCHER=(srun --mpi=pmix --kill-on-bad-exit=1)

# Ranks have this environment even where jobs start with a fresh one (--export=NONE).
export SLURM_EXPORT_ENV=ALL
# Since SLURM 22.05 srun no longer takes the job's --cpus-per-task by itself.
export SRUN_CPUS_PER_TASK=${SLURM_CPUS_PER_TASK:-1}
export OMP_NUM_THREADS=${SLURM_CPUS_PER_TASK:-1}
