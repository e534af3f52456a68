"""One module a change of the tables, in order; never edited once released."""
