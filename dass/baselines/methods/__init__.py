"""The methods of the comparison that rank students, a module for each kind; `dass.method_names` lists them."""
