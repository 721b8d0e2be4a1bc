"""Reading of videos by time stamp, with identical frames from each decoder, and cutting into clips."""
