"""What the release phase runs before the processes start."""

print("prepared")
