"""Writes the tables of pages from the files of committed studies: python -m experiments.page_tables"""

from dass.files import write_text
from experiments.page_tables.pages import PAGES, with_tables

if __name__ == "__main__":
    for path in PAGES:
        write_text(path, with_tables(path.read_text(encoding="utf-8")))
