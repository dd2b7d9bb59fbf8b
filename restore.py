"""Restore a directory from Azure's archive tier: see --help, README.md."""

try:
    from azbackup.cli.start_restore import restore_main
except ModuleNotFoundError as missing:
    from azbackup.cli.installed import stop

    stop("restore.py", missing)

if __name__ == "__main__":
    restore_main()
