"""Made videos on disk: sound kept, finished frames never lost, and marked as synthetic."""
