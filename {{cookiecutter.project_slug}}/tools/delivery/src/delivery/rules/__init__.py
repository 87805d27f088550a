"""What a project is held to, one module for each kind of rule."""
