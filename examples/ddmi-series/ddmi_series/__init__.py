"""The domain of irregular series: water levels as functions of time, measured at any times."""
