"""What is measured, a section a file: each gives its raw runs one by one, and makes tables of them."""
