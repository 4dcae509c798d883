"""A checkpoint with all that proves where it is from, in one folder: made by `midtrain release`, checked by `midtrain verify`."""
