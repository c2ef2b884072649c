"""Networks for every room, and multilayer perceptrons from first principles."""
