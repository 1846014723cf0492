"""How the book is made so that nobody can change it unseen: a Merkle tree with signed checkpoints.

`merkle` hashes and grows the tree, `proofs` makes and checks proofs, `note` signs texts, `checkpoint` is a signed tree
head, `tiles` is the form in which other people's verifiers read the tree, `verify` reads a whole log and says what is
wrong with it. Nothing in here touches a file, a clock, the network or a source of randomness.
"""
