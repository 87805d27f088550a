"""Carry out a plan: deploy, verify, roll back."""
