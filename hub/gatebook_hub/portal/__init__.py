"""The pages: what a person sees and presses in a browser."""
