"""How facts of several nodes become one state, in whatever order they come."""
