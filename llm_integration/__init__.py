"""A second opinion from a language model on every trading signal."""
