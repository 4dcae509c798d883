"""Problems as files hold them: rows, and the texts in their columns."""
