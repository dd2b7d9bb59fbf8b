"""The page of --report: one HTML file that needs nothing else, with charts as SVG and a table behind each."""
