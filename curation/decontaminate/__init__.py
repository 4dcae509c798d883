"""Documents that hold benchmark items: found, dropped or cut, and certified."""
