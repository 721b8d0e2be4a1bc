"""Cameras in files: SRN, Blender and instant-ngp, and nerfstudio."""
