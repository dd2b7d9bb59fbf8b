"""--print-completion: what a shell reads to complete the options of the three scripts, by shtab.

Loaded for that option alone.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterable

import shtab

_FILES = {"FILE", "FILE.prom"}
_DIRECTORIES = {"DIR", "directory", "destination"}

# bash looks for the completion of `python backup.py ...` under the name python. What comes in front of a script of ours
# is taken away; for all else bash completes as if nothing was said.
_BASH_PYTHON = """
_azbackup_python() {
  (( COMP_CWORD > 1 )) || return 0
  local script=${COMP_WORDS[1]##*/}
  case $script in
    %s) ;;
    *) return 0 ;;
  esac
  COMP_WORDS=("${COMP_WORDS[@]:1}")
  (( COMP_CWORD -= 1 ))
  "_shtab_${script//[^[:word:]]/_}"
}

complete -o bashdefault -o default -F _azbackup_python python python3
"""


def completion_text(shell: str, parsers: Iterable[argparse.ArgumentParser]) -> str:
    """The text that `shell` (bash, zsh) reads, for the scripts of these parsers."""
    texts, names = [], []
    for parser in parsers:
        _name_files(parser)
        texts.append(shtab.complete(parser, shell))
        names.append(parser.prog)
    if shell == "bash":
        texts.append(_BASH_PYTHON % "|".join(names))
    return "\n".join(texts) + "\n"


def _name_files(parser: argparse.ArgumentParser) -> None:
    """Says which options take the name of a file or of a directory."""
    for action in parser._actions:  # noqa: SLF001  argparse has no other list of them
        name = action.metavar or action.dest
        if name in _FILES or name in _DIRECTORIES:
            action.complete = shtab.FILE if name in _FILES else shtab.DIRECTORY  # type: ignore[attr-defined]  # shtab's
