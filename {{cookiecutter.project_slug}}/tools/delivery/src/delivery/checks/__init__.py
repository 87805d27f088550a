"""The rules of `delivery check`, one file for each rule."""
