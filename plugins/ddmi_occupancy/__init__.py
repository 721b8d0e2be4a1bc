"""The occupancy domain: solid shapes as functions of x, y and z."""
