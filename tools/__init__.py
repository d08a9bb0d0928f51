"""What is run around the project, and is no part of it: the list of its dependencies, and their audit."""
