"""Options into requests, results into words and an exit status.

The only code that prints, asks, and reads environment and clock.
"""
