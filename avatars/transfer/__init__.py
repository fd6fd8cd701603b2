"""What one person does, put onto another: relative to how each of them looks at rest."""
