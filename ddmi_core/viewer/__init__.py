"""The local page of `ddmi view`: samples of a model to look at, zoom, turn and mix."""
