"""What does every HTTP edge need? Authentication, problems, security headers, limits, streaming."""
