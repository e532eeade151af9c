"""What the gates' answers mean."""
