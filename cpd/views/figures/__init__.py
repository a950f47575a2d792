"""What figures show, as data that every drawing library takes."""
