"""The page of --report: one HTML file with a command's tables and pictures, and what its figures mean."""
