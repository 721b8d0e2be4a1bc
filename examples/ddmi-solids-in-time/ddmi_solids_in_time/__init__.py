"""The domain of moving solids: occupancy as a function of x, y, z and t."""
