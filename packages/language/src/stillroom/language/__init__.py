"""Distil a large language model into a small student that is yours."""
