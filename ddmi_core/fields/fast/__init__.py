"""Fast evaluation of one field without gradients: on lattices, at some of their points, and at scattered points."""
