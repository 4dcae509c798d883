"""Mix search: sample blends, fit laws of what proxy runs came to, propose a blend, and say when all of it is noise."""
