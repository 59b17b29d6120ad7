"""Models that need no weights, a file a job: what every score is compared with."""
