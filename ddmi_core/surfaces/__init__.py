"""Surfaces of implicit functions, extracted as closed triangle meshes."""
