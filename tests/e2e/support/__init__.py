"""What the end-to-end tests share. Nothing here knows how Tidegate works inside: it looks from outside, as a user does."""
