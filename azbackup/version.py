"""The version of azbackup, by Semantic Versioning; the stored format has a number of its own."""

VERSION = "0.1.0"
