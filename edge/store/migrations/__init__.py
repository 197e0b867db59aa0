"""The schema of a store, step by step. A step that has shipped never changes."""
