"""The image domain: pictures as functions of x and y."""
