"""Gatebook."""
