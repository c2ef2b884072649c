"""A project on disk: its folders, runs, parameter files and the Python beside them. No TensorFlow."""
