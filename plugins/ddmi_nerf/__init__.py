"""The radiance-field domain: objects as density and colour in space, seen by cameras."""
