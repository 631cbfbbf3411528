"""``jackstay completion``: the script that teaches a shell our commands."""

from __future__ import annotations

from typing import Annotated

import typer

from jackstay.errors import UsageError

_BASH = """\
_jackstay_completion() {
    local IFS=$'\\n'
    COMPREPLY=( $( env COMP_WORDS="${COMP_WORDS[*]}" COMP_CWORD=$COMP_CWORD _JACKSTAY_COMPLETE=complete_bash "$1" ) )
    return 0
}
complete -o default -F _jackstay_completion jackstay
"""
_ZSH = """\
#compdef jackstay
_jackstay_completion() {
  eval $(env _TYPER_COMPLETE_ARGS="${words[1,$CURRENT]}" _JACKSTAY_COMPLETE=complete_zsh jackstay)
}
compdef _jackstay_completion jackstay
"""
_FISH = (
    "complete --command jackstay --no-files --arguments "
    '"(env _JACKSTAY_COMPLETE=complete_fish _TYPER_COMPLETE_FISH_ACTION=get-args '
    '_TYPER_COMPLETE_ARGS=(commandline -cp) jackstay)" --condition '
    '"env _JACKSTAY_COMPLETE=complete_fish _TYPER_COMPLETE_FISH_ACTION=is-args '
    '_TYPER_COMPLETE_ARGS=(commandline -cp) jackstay"\n'
)
SCRIPTS = {"bash": _BASH, "zsh": _ZSH, "fish": _FISH}


def command(shell: Annotated[str, typer.Argument(metavar="bash|zsh|fish")]) -> int:
    """Print the completion script of a shell.

    \b
    Examples:
      jackstay completion bash > ~/.local/share/bash-completion/completions/jackstay
      jackstay completion zsh > "${fpath[1]}/_jackstay"
      jackstay completion fish > ~/.config/fish/completions/jackstay.fish
    """
    script = SCRIPTS.get(shell)
    if script is None:
        raise UsageError(f"completion: no script for the shell {shell!r}", hint=f"one of {', '.join(SCRIPTS)}")
    print(script, end="")
    return 0
