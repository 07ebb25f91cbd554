"""Results against the reference's: the judge, its table, and a bundle's check of itself."""
