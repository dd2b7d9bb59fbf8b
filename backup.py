"""Back up a directory to Azure's archive tier: see --help, README.md."""

from azbackup.cli.main import backup_main

if __name__ == "__main__":
    backup_main()
