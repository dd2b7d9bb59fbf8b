"""How results look: lines, a bar, JSON, tables, the plan."""
