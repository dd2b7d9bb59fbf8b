"""Change a partition's password: see --help, README.md."""

try:
    from azbackup.cli.start_change_password import change_password_main
except ModuleNotFoundError as missing:
    from azbackup.cli.installed import stop

    stop("change_password.py", missing)

if __name__ == "__main__":
    change_password_main()
