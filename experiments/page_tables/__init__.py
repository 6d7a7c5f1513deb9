"""Tables of the pages, made from the files of committed studies."""
