"""Restore a directory from Azure's archive tier: see --help, README.md."""

from azbackup.cli.main import restore_main

if __name__ == "__main__":
    restore_main()
