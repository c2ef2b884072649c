"""One process or several that train together; the only folder that names horovod or mpi4py."""
