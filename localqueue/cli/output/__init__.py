"""How commands print: tables, colors, wording."""
