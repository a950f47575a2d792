"""Documents as text: one producer of rows, five printers."""
