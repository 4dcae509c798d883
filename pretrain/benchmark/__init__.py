"""What this room is measured against."""
