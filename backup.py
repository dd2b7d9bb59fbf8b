"""Back up a directory to Azure's archive tier: see --help, README.md."""

try:
    from azbackup.cli.start_backup import backup_main
except ModuleNotFoundError as missing:
    from azbackup.cli.installed import stop

    stop("backup.py", missing)

if __name__ == "__main__":
    backup_main()
