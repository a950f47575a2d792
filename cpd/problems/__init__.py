"""The bundled problems, one file each, written exactly as a user would write theirs."""
