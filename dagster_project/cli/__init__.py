"""The bodies of the ``warehouse`` command's verbs; imported only when they are called."""
