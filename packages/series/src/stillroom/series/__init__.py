"""Time series for Stillroom: frames, windows, forecast metrics, synthetic data."""
