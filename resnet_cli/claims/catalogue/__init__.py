"""The claims themselves, a module for each subject: its tuple `CLAIMS` is all that the ledger needs to know."""
