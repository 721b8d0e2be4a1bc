"""Reading videos by time stamp, with the same frames from each back end, and cutting them into clips."""
