"""The local web page of `ddmi view`, which shows and interpolates samples of a model."""
