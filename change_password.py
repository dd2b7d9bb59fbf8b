"""Change a partition's password: see --help, README.md."""

from azbackup.cli.main import change_password_main

if __name__ == "__main__":
    change_password_main()
