# An example: HPE Cray EX with NVIDIA GPUs and the Slingshot network. Copy it; names of modules differ between sites.
# Written from the documentation of HPE, Horovod and clusters of this kind; not run on one.
source "$PWD/slurm/sites/generic.sh"

# The same as for `make cluster`. Cray MPICH's own mpicc and mpicxx, for mpi4py and Horovod, are in $MPICH_DIR/bin.
module load PrgEnv-gnu cray-mpich cudatoolkit
PATH=$MPICH_DIR/bin:$PATH

# Cray MPICH does not speak pmix.
DEQN_LAUNCHER=(srun --mpi=cray_shasta --kill-on-bad-exit=1)

# NCCL moves the gradients; MPI moves words only and needs no hand on the GPU's memory.
export MPICH_GPU_SUPPORT_ENABLED=0

# NCCL reaches Slingshot by the plug-in aws-ofi-nccl, a module on most of these machines; without it, by slow sockets.
# module load aws-ofi-nccl
export NCCL_NET="AWS Libfabric"
export NCCL_SOCKET_IFNAME=hsn
export NCCL_NET_GDR_LEVEL=PHB
export NCCL_CROSS_NIC=1
export FI_CXI_DISABLE_HOST_REGISTER=1 # else memory registration can lock up
export FI_MR_CACHE_MONITOR=userfaultfd
export FI_CXI_DEFAULT_CQ_SIZE=131072
# export NCCL_DEBUG=INFO # says which network NCCL took
