"""Made-up people whose every motion is known: for tests and for the demo."""
