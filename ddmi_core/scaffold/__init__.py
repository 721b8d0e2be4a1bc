"""The scaffold: writes the distribution of a new plugin, whose data are formulas until the author brings their own."""
