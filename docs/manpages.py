"""Makes a manual page of each script from its parser: make man. Needs requirements-dev.txt.

python docs/manpages.py DIRECTORY writes backup.py.1, restore.py.1 and change_password.py.1 there.
"""

from __future__ import annotations

import sys
from pathlib import Path

from argparse_manpage.manpage import Manpage

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from azbackup.cli.options.backup import backup_parser
from azbackup.cli.options.change_password import change_password_parser
from azbackup.cli.options.common import Parser
from azbackup.cli.options.restore import restore_parser
from azbackup.version import VERSION

_ABOUT = {"project_name": f"azbackup {VERSION}", "manual_title": "azbackup", "format": "pretty"}


def page(parser: Parser) -> str:
    """The manual page of a script, as troff. Examples and statuses keep their lines."""
    first = (parser.description or "").partition(".")[0]
    parser.man_short_description = first[:1].lower() + first[1:]
    return str(Manpage(parser, _ABOUT)).replace("\n.SH COMMENTS\n", "\n.SH EXAMPLES AND EXIT STATUS\n.nf\n") + "\n"


def main() -> None:
    """Writes the pages into the directory that is named."""
    to = Path(sys.argv[1])
    to.mkdir(parents=True, exist_ok=True)
    for parser in (backup_parser(), restore_parser(), change_password_parser()):
        (to / f"{parser.prog}.1").write_text(page(parser), encoding="utf-8")


if __name__ == "__main__":
    main()
