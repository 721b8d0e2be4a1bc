"""A plugin of API version 0, frozen: it is never changed, so that it shows what a new version breaks."""
