"""Decides what each customer is owed when a crisis strikes, and keeps the proof."""

__version__ = "0.1.0"
