"""Results of commands, fresh or stored: as an object, as a table, as a file."""
