"""What the templates of a node see and give: scope, conditions, items of a map, the check of the output."""
