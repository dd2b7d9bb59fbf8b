"""What a user can ask for, one package each.

Takes protocols and values, tells a Progress, prints nothing, reads no clock.
"""
