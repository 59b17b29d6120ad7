"""Stillroom's distillation core: objectives, adapters, stored targets, the trainer, the gate."""
