"""Network families: what a block computes, costs and is called, one module a family, as plain descriptions."""
