"""What carries a flow out: servers, pages, worker, slots, processes. No output of a stage depends on it."""
