"""A plugin of API version 1, frozen: it is never changed, so that it shows what a new version breaks."""
