# deqn within a container that slurm/deqn.def builds; the project is seen from within under its own name.
# Written from Apptainer's documentation; not run here.
source "$PWD/slurm/sites/generic.sh"

# module load apptainer
# --nv: the node's NVIDIA driver, for an image with GPU support.
DEQN=(apptainer exec --bind "$PWD" "${DEQN_IMAGE:-deqn.sif}" deqn)

# Ranks on one node cannot copy from each other's memory across containers.
export OMPI_MCA_btl_vader_single_copy_mechanism=none
