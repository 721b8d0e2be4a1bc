"""Fast evaluation of one field without gradients: on a lattice, at selected lattice points, at scattered points."""
