"""Volume rendering of radiance fields: rays, media, scenes and exported files."""
