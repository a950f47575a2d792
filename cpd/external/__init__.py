"""Training programs of anyone's: run as processes of their own or called as functions, watched, and read."""
