"""Other trackers' and trainers' files, in both directions; no code of theirs is used."""
