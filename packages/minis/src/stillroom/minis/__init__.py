"""Stillroom's own small models: a path table, and beside it one folder a model (weights, card, recipe)."""

from pathlib import Path

compressor = Path(__file__).parent / "compressor"
forecaster = Path(__file__).parent / "forecaster"
student = Path(__file__).parent / "student"
teacher = Path(__file__).parent / "teacher"
