"""Documents as text, pictures and pages."""
